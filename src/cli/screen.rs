//! The screen: the only writer to stdout and stderr.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{IsTerminal as _, Write};
use std::sync::{Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::args::{Color, Global};
use crate::cli::failure::Failure;
use crate::model::event::{Event, Listener};

/// Shows a build: bars on a terminal, lines elsewhere, nothing when asked to be quiet.
pub(super) struct Screen {
    bars: MultiProgress,
    downloads: Mutex<BTreeMap<u64, ProgressBar>>,
    is_quiet: bool,
    is_verbose: bool,
}

impl Screen {
    pub(super) fn new(global: &Global) -> Self {
        match global.color {
            Color::Auto => {}
            Color::Always => anstream::ColorChoice::Always.write_global(),
            Color::Never => anstream::ColorChoice::Never.write_global(),
        }
        let shows_bars = !global.quiet && std::io::stderr().is_terminal();
        let target = if shows_bars { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self {
            bars: MultiProgress::with_draw_target(target),
            downloads: Mutex::default(),
            is_quiet: global.quiet,
            is_verbose: global.verbose,
        }
    }

    pub(super) fn stdout(&self) -> impl Write {
        anstream::stdout()
    }

    /// Whether people read what is printed.
    pub(super) fn is_terminal(&self) -> bool {
        std::io::stdout().is_terminal()
    }

    /// A result: what scripts read.
    pub(super) fn print(&self, line: impl Display) {
        // A closed pipe is the reader's choice.
        let _ = writeln!(anstream::stdout(), "{line}");
    }

    /// Something for people; nothing when quiet.
    pub(super) fn say(&self, line: impl Display) {
        if !self.is_quiet {
            self.say_anyway(line);
        }
    }

    fn say_anyway(&self, line: impl Display) {
        self.bars.suspend(|| {
            let _ = writeln!(anstream::stderr(), "{line}");
        });
    }

    pub(super) fn tell_failure(&self, failure: &Failure) {
        let size = console::Term::stderr().size_checked();
        self.say_anyway(failure.text(size.map(|(_, columns)| columns.into())));
    }
}

impl Listener for Screen {
    fn hear(&self, event: Event) {
        let mut downloads = self.downloads.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Step(text) => self.say(text),
            Event::Output(line) => self.say(format_args!("  {line}")),
            Event::Note(text) => self.say(format_args!("note: {text}")),
            Event::Warning(text) => self.say_anyway(format_args!("warning: {text}")),
            Event::Detail(text) if self.is_verbose => self.say(format_args!("  {text}")),
            Event::Detail(_) => {}
            Event::DownloadStarted { id, name, total } => {
                if self.is_verbose {
                    self.say(format_args!("  fetching {name}"));
                }
                let style = ProgressStyle::with_template("  {msg:40!} {bar:24} {bytes}/{total_bytes}");
                let bar = self.bars.add(total.map_or_else(ProgressBar::no_length, ProgressBar::new));
                bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
                bar.set_message(name);
                downloads.insert(id, bar);
            }
            Event::DownloadProgress { id, bytes } => {
                if let Some(bar) = downloads.get(&id) {
                    bar.set_position(bytes);
                }
            }
            Event::DownloadFinished { id } => {
                if let Some(bar) = downloads.remove(&id) {
                    bar.finish_and_clear();
                }
            }
        }
    }
}
