//! The table `[tool.uv]` of a script or a project -> settings (uv's documentation, "Settings").

use std::path::Path;

use serde::de::DeserializeOwned;
use toml::Value;

use crate::cli::failure::Failure;
use crate::cli::layers::Settings;
use crate::cli::values::usage;
use crate::model::options::Prereleases;
use crate::model::secret_text::SecretText;

/// Settings that are not read here, because they are read together with the requirements.
const ELSEWHERE: [&str; 7] = [
    "constraint-dependencies",
    "dependency-metadata",
    "exclude-dependencies",
    "extra-build-dependencies",
    "index",
    "override-dependencies",
    "sources",
];

/// Settings that only projects have. They are not read here, because they are read together with the project.
const OF_PROJECTS: [&str; 6] =
    ["conflicts", "default-groups", "dev-dependencies", "environments", "package", "workspace"];

/// Settings that do not change which files are installed. They control how uv works, other commands of uv, or the locks
/// that uv writes.
const WITHOUT_EFFECT: [&str; 39] = [
    "add-bounds",
    "allow-insecure-host",
    "audit",
    "build-backend",
    "cache-dir",
    "cache-keys",
    "check-url",
    "compile-bytecode",
    "concurrent-builds",
    "concurrent-downloads",
    "concurrent-installs",
    "dependency-groups",
    "fork-strategy",
    "http-proxy",
    "https-proxy",
    "keyring-provider",
    "link-mode",
    "managed",
    "native-tls",
    "no-cache",
    "no-proxy",
    "offline",
    "pip",
    "preview",
    "preview-features",
    "publish-url",
    "pypy-install-mirror",
    "python-downloads",
    "python-downloads-json-url",
    "python-install-mirror",
    "python-preference",
    "reinstall",
    "reinstall-package",
    "required-environments",
    "required-version",
    "system-certs",
    "trusted-publishing",
    "upgrade",
    "upgrade-package",
];

/// The settings of a table, and the names of the settings that lath does not support.
#[derive(Debug, Default)]
pub(super) struct ToolUv {
    pub(super) settings: Settings,
    pub(super) others: Vec<String>,
}

/// Reads the table `[tool.uv]` of the file `file`, which is in `folder`.
pub(super) fn read(table: &toml::Table, folder: &Path, file: &str) -> Result<ToolUv, Failure> {
    let mut read = ToolUv::default();
    for (key, value) in table {
        let entry = Entry { value, folder, file, key };
        if !entry.follow(&mut read.settings)? {
            read.others.push(key.clone());
        }
    }
    Ok(read)
}

/// A setting, and its place.
struct Entry<'a> {
    value: &'a Value,
    folder: &'a Path,
    file: &'a str,
    key: &'a str,
}

impl Entry<'_> {
    /// Adds the value to `settings`. Returns whether lath supports the setting.
    fn follow(&self, settings: &mut Settings) -> Result<bool, Failure> {
        match self.key {
            "exclude-newer" => settings.exclude_newer = Some(self.get()?),
            "index-url" => settings.default_index = Some(self.index(&self.get::<String>()?)),
            "extra-index-url" => settings.index = Some(self.indexes()?),
            "find-links" => settings.find_links = Some(self.indexes()?),
            "index-strategy" => settings.index_strategy = Some(self.get()?),
            "prerelease" => settings.prerelease = Some(self.prereleases()?),
            "no-index" => settings.no_index = Some(self.get()?),
            "no-build" => settings.no_build = Some(self.get()?),
            "no-build-package" => settings.no_build_package = Some(self.get()?),
            "no-binary-package" => settings.no_binary_package = Some(self.get()?),
            "config-settings" => settings.config_setting = Some(self.config_settings()?),
            "torch-backend" => settings.torch_backend = Some(self.get()?),
            "resolution" => return Ok(self.get::<String>()? == "highest"),
            key => return Ok([&ELSEWHERE[..], &OF_PROJECTS, &WITHOUT_EFFECT].concat().contains(&key)),
        }
        Ok(true)
    }

    /// Converts the value into lath's own type.
    fn get<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        self.value.clone().try_into().map_err(|error: toml::de::Error| self.wrong(error.message()))
    }

    fn wrong(&self, reason: &str) -> Failure {
        usage(format!("cannot read `tool.uv.{}` of `{}`: {}", self.key, self.file, reason.trim()))
    }

    /// Reads the setting for pre-releases. uv and lath have different names for the default value, so uv's name is
    /// translated here.
    fn prereleases(&self) -> Result<Prereleases, Failure> {
        match self.value.as_str() {
            Some("if-necessary-or-explicit") => Ok(Prereleases::IfNecessary),
            _ => self.get(),
        }
    }

    fn indexes(&self) -> Result<Vec<SecretText>, Failure> {
        Ok(self.get::<Vec<String>>()?.iter().map(|text| self.index(text)).collect())
    }

    /// Returns the URL or the path of an index. A relative path is relative to the folder of the file.
    fn index(&self, text: &str) -> SecretText {
        if text.contains("://") { text.into() } else { self.folder.join(text).to_string_lossy().as_ref().into() }
    }

    fn config_settings(&self) -> Result<Vec<String>, Failure> {
        let table = self.value.as_table().ok_or_else(|| self.wrong("it must be a table"))?;
        let mut settings = Vec::new();
        for (name, value) in table {
            let values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
            for value in values {
                let value = value.as_str().ok_or_else(|| self.wrong("its values must be texts"))?;
                settings.push(format!("{name}={value}"));
            }
        }
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::indexes::IndexStrategy;

    fn read_text(text: &str) -> Result<ToolUv, String> {
        read(&toml::from_str(text).unwrap(), Path::new("/jobs"), "x.py").map_err(|failure| failure.to_string())
    }

    #[test]
    fn settings_that_decide_what_is_installed_are_followed() {
        let read = read_text(
            "exclude-newer = '2026-01-01'\nindex-url = 'https://b/'\nextra-index-url = ['https://a/']\n\
             find-links = ['wheels', 'https://c/']\nindex-strategy = 'unsafe-best-match'\nprerelease = 'allow'\n\
             no-index = true\nno-build = true\nno-build-package = ['y']\nno-binary-package = ['x']\n\
             config-settings = { debug = ['1', '2'] }\ntorch-backend = 'cpu'\nresolution = 'highest'\n\
             constraint-dependencies = ['x<2']\nlink-mode = 'copy'\n[sources]\nx = { path = 'x' }\n",
        )
        .unwrap();
        let expected = Settings {
            exclude_newer: Some("2026-01-01".to_owned()),
            default_index: Some("https://b/".into()),
            index: Some(vec!["https://a/".into()]),
            find_links: Some(vec!["/jobs/wheels".into(), "https://c/".into()]),
            index_strategy: Some(IndexStrategy::UnsafeBestMatch),
            prerelease: Some(Prereleases::Allow),
            no_index: Some(true),
            no_build: Some(true),
            no_build_package: Some(vec!["y".to_owned()]),
            no_binary_package: Some(vec!["x".to_owned()]),
            config_setting: Some(vec!["debug=1".to_owned(), "debug=2".to_owned()]),
            torch_backend: Some("cpu".to_owned()),
            ..Settings::default()
        };
        assert_eq!((read.settings, read.others), (expected, Vec::new()));
        let usual = read_text("prerelease = 'if-necessary-or-explicit'").unwrap().settings.prerelease;
        assert_eq!(usual, Some(Prereleases::IfNecessary));
    }

    #[test]
    fn settings_that_lath_does_not_follow_are_named() {
        let read = read_text("resolution = 'lowest'\nbuild-constraint-dependencies = ['x<1']\nfuture = 1\n").unwrap();
        assert_eq!(read.others, ["resolution", "build-constraint-dependencies", "future"]);
    }

    #[test]
    fn a_value_of_another_type_is_refused_by_the_name_of_its_setting() {
        let refused = |text: &str| read_text(text).unwrap_err();
        let errors = ["no-build = 'yes'", "prerelease = 'some'", "find-links = 1", "config-settings = { x = 1 }"];
        insta::assert_snapshot!(errors.map(refused).join("\n"), @r#"
        error: cannot read `tool.uv.no-build` of `x.py`: invalid type: string "yes", expected a boolean
        error: cannot read `tool.uv.prerelease` of `x.py`: unknown variant `some`, expected one of `disallow`, `allow`, `if-necessary`, `explicit`
        error: cannot read `tool.uv.find-links` of `x.py`: invalid type: integer `1`, expected a sequence
        error: cannot read `tool.uv.config-settings` of `x.py`: its values must be texts
        "#);
    }
}
