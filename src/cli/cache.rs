//! `lath cache`.

use std::time::Duration;

use crate::cli::args::{CacheAction, Global};
use crate::cli::failure::Failure;
use crate::cli::screen::Screen;
use crate::cli::settings;
use crate::pipeline;
use crate::present::megabytes::megabytes;

const DAY_SECS: u64 = 86_400;

pub(super) fn main(action: &CacheAction, global: &Global, screen: &Screen) -> Result<(), Failure> {
    let dir = settings::cache_dir(global)?;
    match action {
        CacheAction::Dir => screen.print(dir.display())?,
        CacheAction::Size { bytes } => {
            let amount = pipeline::cache_amount(&dir).map_err(|error| Failure::of(&error))?;
            if *bytes || !screen.is_terminal() {
                screen.print(amount.bytes)?;
            } else {
                screen.print(megabytes(amount.bytes))?;
            }
        }
        CacheAction::Prune { older_than, all } => {
            let unused_for = (!all).then(|| Duration::from_secs(older_than.saturating_mul(DAY_SECS)));
            let on_wait = || screen.say("waiting for builds that are at work with the cache");
            let removed = pipeline::prune_cache(&dir, unused_for, on_wait).map_err(|error| Failure::of(&error))?;
            let (files, what) = (removed.files, if removed.files == 1 { "file" } else { "files" });
            screen.say(format_args!("removed {files} {what}, {}, of `{}`", megabytes(removed.bytes), dir.display()));
        }
    }
    Ok(())
}
