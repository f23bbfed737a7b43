//! `lath cache`.

use crate::cli::args::{CacheAction, Global};
use crate::cli::failure::Failure;
use crate::cli::screen::Screen;
use crate::cli::settings;
use crate::pipeline;

pub(super) fn main(action: &CacheAction, global: &Global, screen: &Screen) -> Result<(), Failure> {
    let dir = settings::cache_dir(global)?;
    let size_bytes = || pipeline::cache_size_bytes(&dir).map_err(|error| Failure::of(&error));
    match action {
        CacheAction::Dir => screen.print(dir.display()),
        CacheAction::Size => screen.print(size_bytes()?),
        CacheAction::Prune => {
            let bytes = size_bytes()?;
            pipeline::prune_cache(&dir).map_err(|error| Failure::of(&error))?;
            screen.say(format_args!("removed {bytes} bytes of `{}`", dir.display()));
        }
    }
    Ok(())
}
