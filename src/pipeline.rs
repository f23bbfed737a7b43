//! The order of the steps, on one page. Nothing else knows it.
//!
//! So far it ends with the opened parts; assemble and what follows are not built yet.

use thiserror::Error;

use crate::model::lock::Lock;
use crate::model::part::Part;
use crate::model::request::Request;
use crate::outside::world::World;
use crate::steps::fetch::{FetchError, fetch};
use crate::steps::resolve::{ResolveError, resolve};
use crate::steps::unpack::{UnpackError, unpack};

/// What stopped a build: one variant a step.
#[derive(Debug, Error)]
pub(crate) enum BuildError {
    #[error(transparent)]
    Resolve(#[from] Box<ResolveError>),
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Unpack(#[from] UnpackError),
}

/// The lock of a request, and the opened parcels of each platform.
pub(crate) fn parts(request: &Request, world: &World) -> Result<(Lock, Vec<Vec<Part>>), BuildError> {
    let lock = resolve(request, world).map_err(Box::new)?;
    fetch(&lock, world)?;
    let mut platforms = Vec::new();
    for platform in &lock.platforms {
        platforms.push(unpack(platform, world)?);
    }
    Ok((lock, platforms))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;
    use crate::model::event::Silence;
    use crate::model::part::PartContents;
    use crate::model::platform::{Architecture, Platform, PythonVersion};
    use crate::model::request::{
        BaseRequest, Bytecode, Compression, Distribution, Entrypoint, Indexes, PythonRequest, RuntimeRequest, TrimLevel,
    };
    use crate::outside::world::WorldSettings;

    fn request(requirement: &str) -> Request {
        Request {
            python: PythonRequest {
                version: PythonVersion { major: 3, minor: 13 },
                requirements: vec![requirement.to_owned()],
                requirement_files: Vec::new(),
                constraint_files: Vec::new(),
                indexes: Indexes::default(),
            },
            base: BaseRequest {
                distribution: Distribution::Debian,
                suite: "trixie".to_owned(),
                packages: Vec::new(),
                recommends: false,
                mirror: None,
                security_mirror: None,
            },
            platforms: vec![Platform { architecture: Architecture::Amd64 }],
            trim: TrimLevel::Standard,
            keep: Vec::new(),
            bytecode: Bytecode::Start,
            runtime: RuntimeRequest {
                scripts: Vec::new(),
                entrypoint: Entrypoint::Exec,
                shell: false,
                cmd: Vec::new(),
                env: BTreeMap::new(),
                labels: BTreeMap::new(),
                annotations: BTreeMap::new(),
                user: "65532".to_owned(),
                workdir: None,
                expose: Vec::new(),
            },
            copies: Vec::new(),
            checks: Vec::new(),
            verify: true,
            compression: Compression::Gzip(6),
            epoch_secs: 0,
            name: "test".to_owned(),
            destinations: Vec::new(),
        }
    }

    fn world(cache_dir: &Path, offline: bool) -> World {
        let now_secs = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let settings = WorldSettings { cache_dir: cache_dir.to_owned(), offline, jobs: 8, keyring: None, now_secs };
        World::open(settings, Arc::new(Silence)).unwrap()
    }

    #[test]
    #[ignore = "needs the real Python index and the real Debian archive"]
    fn a_real_name_comes_to_opened_parts_and_again_without_a_network() {
        let home = tempfile::tempdir().unwrap();
        let request = request("psycopg2-binary==2.9.11");
        let (lock, parts) = parts(&request, &world(home.path(), false)).unwrap();
        let names: Vec<&str> = lock.platforms[0].debs.iter().map(|deb| deb.name.as_str()).collect();
        for expected in ["ca-certificates", "libc6", "libpython3.13-stdlib", "libssl3t64", "python3.13-minimal"] {
            assert!(names.contains(&expected), "{expected} of {names:?}");
        }
        assert!(!names.iter().any(|name| ["debconf", "openssl", "perl-base"].contains(name)), "{names:?}");
        assert_eq!(lock.platforms[0].hints, Vec::<String>::new());
        assert_eq!(parts[0].len(), lock.platforms[0].debs.len() + lock.platforms[0].wheels.len());
        let PartContents::Wheel(wheel) = &parts[0].last().unwrap().contents else { panic!("the last part is a deb") };
        assert!(wheel.site.iter().any(|entry| entry.path == "psycopg2/__init__.py"));
        let (again, same_parts) = super::parts(&request, &world(home.path(), true)).unwrap();
        assert_eq!((again, same_parts), (lock, parts));
    }
}
