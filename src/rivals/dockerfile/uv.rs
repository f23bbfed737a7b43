//! The first stage if uv installs the distributions. uv itself is installed from the index, like any other
//! distribution.

use super::contents::uv_pins;
use super::pins::{installed, write_pins};
use super::text::{Text, folded, listed};
use super::{Page, indexes};

/// Installs uv with pip, and then all distributions with uv.
pub(super) fn install(page: &Page<'_>, text: &mut Text) {
    text.why("uv, pinned by version and hash.");
    let write_uv = listed("printf '%s\\n'", &uv_pins(page.ingredients));
    let pip = page.pip_install(&["--no-cache-dir", "--require-hashes", "--only-binary :all:"]);
    text.run(&page.secret_mounts(), &[format!("{write_uv} \\\n      > /tmp/uv.txt"), format!("{pip} -r /tmp/uv.txt")]);
    text.why("Use the Python that is there. Copy files instead of linking them, because stage two copies the folder.");
    let compiles = u8::from(page.has_bytecode());
    text.line(format!("ENV UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_COMPILE_BYTECODE={compiles}"));
    if !page.has_fetched() {
        return;
    }
    if !page.is_unpinned() {
        write_pins(page, text);
    }
    text.why("Install into the user base: uv has no --user, but --prefix uses the same folders. It leaves its lock file there.");
    let mut mounts = page.secret_mounts();
    if page.has_mounts() {
        mounts.push("type=cache,target=/root/.cache/uv".to_owned());
    }
    let lock = format!("rm -f {}/.lock", page.wanted.user_base);
    text.run(&mounts, &[command(page), lock]);
}

fn command(page: &Page<'_>) -> String {
    let trusted = page.certificates().map(|path| format!("SSL_CERT_FILE={path} ")).unwrap_or_default();
    let mut words = vec![format!("--prefix {}", page.wanted.user_base), format!("--python {}", page.program())];
    if page.is_externally_managed() {
        words.push("--break-system-packages".to_owned());
    }
    if !page.is_unpinned() {
        words.extend(["--only-binary :all:", "--no-deps", "--require-hashes"].map(str::to_owned));
    }
    if !page.has_mounts() {
        words.push("--no-cache".to_owned());
    }
    let options = indexes::for_uv(&page.ingredients.indexes);
    // On a base image, uv runs as a module, because the folder with the scripts of its Python may not be on `PATH`.
    let uv = page.base().map_or("uv".to_owned(), |_| format!("{} -m uv", page.program()));
    let install = listed(&folded(&format!("{trusted}{uv} pip install"), &words), &options);
    format!("{install} {}", installed(page))
}
