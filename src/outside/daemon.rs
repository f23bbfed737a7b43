//! The daemon of an engine (Docker, or Podman's socket): images are loaded into it by its API, `POST /images/load`.

use std::io::Read as _;
use std::path::Path;

use bollard::Docker;
use bollard::query_parameters::ImportImageOptionsBuilder;
use fs_err as fs;
use futures::StreamExt as _;
use thiserror::Error;

const CHUNK_BYTES: usize = 1 << 20;

/// Knows where the daemon listens.
#[derive(Debug, Clone)]
pub(crate) struct Daemon {
    host: Option<String>,
}

#[derive(Debug, Error)]
pub(crate) enum DaemonError {
    #[error("cannot reach the daemon at `{host}`: is it running, and may you use it?")]
    Connect { host: String, source: bollard::errors::Error },
    #[error("cannot load the image into the daemon at `{host}`")]
    Load { host: String, source: bollard::errors::Error },
    #[error("cannot read the archive to load")]
    Read(#[source] std::io::Error),
}

impl Daemon {
    /// `host` as in `DOCKER_HOST`; without one, Docker's own socket.
    pub(crate) fn new(host: Option<String>) -> Self {
        Self { host }
    }

    fn connect(&self) -> Result<Docker, DaemonError> {
        let connected = match &self.host {
            Some(host) => Docker::connect_with_host(host),
            None => Docker::connect_with_socket_defaults(),
        };
        connected.map_err(|source| DaemonError::Connect { host: self.name(), source })
    }

    fn name(&self) -> String {
        self.host.clone().unwrap_or_else(|| "Docker's socket".to_owned())
    }

    /// Asks the daemon whether it is there.
    pub(crate) fn ping(&self) -> Result<(), DaemonError> {
        self.block_on(async {
            let ping = self.connect()?.ping().await;
            ping.map(drop).map_err(|source| DaemonError::Connect { host: self.name(), source })
        })
    }

    /// Sends an archive as `docker load` does.
    pub(crate) fn load(&self, archive: &Path) -> Result<(), DaemonError> {
        let file = fs::File::open(archive).map_err(DaemonError::Read)?;
        let chunks = futures::stream::unfold(file, |mut file| async move {
            let mut chunk = Vec::with_capacity(CHUNK_BYTES);
            match file.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut chunk) {
                Ok(0) => None,
                Ok(_) => Some((Ok(chunk.into()), file)),
                Err(error) => Some((Err(error), file)),
            }
        });
        self.block_on(async {
            let docker = self.connect()?;
            let options = ImportImageOptionsBuilder::default().quiet(true).build();
            let mut answers = Box::pin(docker.import_image(options, bollard::body_try_stream(chunks), None));
            while let Some(answer) = answers.next().await {
                answer.map_err(|source| DaemonError::Load { host: self.name(), source })?;
            }
            Ok(())
        })
    }

    fn block_on<T>(&self, work: impl Future<Output = Result<T, DaemonError>>) -> Result<T, DaemonError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(DaemonError::Read)?.block_on(work)
    }
}
