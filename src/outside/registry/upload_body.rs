//! Streams the bytes of a blob to a registry.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::stream;
use reqwest::Body;
use tokio::sync::mpsc;

use crate::model::event::{Event, Listener};
use crate::outside::registry::idle::Progress;

const CHUNK_BYTES: usize = 128 << 10;
/// The number of chunks that are read before the network needs them.
const AHEAD: usize = 4;

/// A part of a blob.
pub(super) struct Part {
    pub(super) reader: Box<dyn Read + Send>,
    pub(super) first: u64,
    pub(super) length: u64,
    /// The number of the transfer, which the listener receives.
    pub(super) id: u64,
}

/// The error if a part cannot be read. The HTTP library does not return this error, so it is kept
/// here.
#[derive(Clone, Default)]
pub(super) struct ReadFailure(Arc<Mutex<Option<io::Error>>>);

impl ReadFailure {
    pub(super) fn take(&self) -> Option<io::Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Returns the body of a request that sends the part. A thread reads the bytes. Each chunk that the network takes is
/// progress.
pub(super) fn body(part: Part, listener: Arc<dyn Listener>, failure: ReadFailure, progress: Progress) -> Body {
    let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(AHEAD);
    tokio::task::spawn_blocking(move || {
        if let Err(error) = send(part, &*listener, &sender) {
            let told = io::Error::new(error.kind(), error.to_string());
            *failure.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            // If the request has already ended, the error is not needed.
            let _ = sender.blocking_send(Err(told));
        }
    });
    Body::wrap_stream(stream::unfold((receiver, progress), async |(mut receiver, progress)| {
        let chunk = receiver.recv().await?;
        progress.made();
        Some((chunk, (receiver, progress)))
    }))
}

fn send(part: Part, listener: &dyn Listener, sender: &mpsc::Sender<io::Result<Bytes>>) -> io::Result<()> {
    let Part { mut reader, first, length, id } = part;
    let skipped = io::copy(&mut reader.by_ref().take(first), &mut io::sink())?;
    if skipped < first {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut left = length;
    while left > 0 {
        let mut chunk = vec![0; CHUNK_BYTES.min(usize::try_from(left).unwrap_or(CHUNK_BYTES))];
        reader.read_exact(&mut chunk)?;
        left -= chunk.len() as u64;
        if sender.blocking_send(Ok(chunk.into())).is_err() {
            // The request has ended before all bytes were read.
            return Ok(());
        }
        listener.hear(Event::DownloadProgress { id, bytes: first + length - left });
    }
    Ok(())
}
