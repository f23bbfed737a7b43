//! The screen: only this module writes to stdout and stderr. All text for people is cleaned first.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::choices::Color;
use crate::cli::clean::{clean, escaped};
use crate::cli::defaults;
use crate::cli::failure::Failure;
use crate::cli::layers::Settings;
use crate::model::event::{Event, Listener};
use crate::present::megabytes::megabytes;

/// Shows a build: progress bars on a terminal, lines otherwise, and nothing with `--quiet`.
pub(super) struct Screen {
    bars: MultiProgress,
    downloads: Mutex<Downloads>,
    /// The progress bar of the checks. `None` while no checks run.
    proof: Mutex<Option<ProgressBar>>,
    is_quiet: bool,
    is_verbose: bool,
}

/// The current downloads.
#[derive(Default)]
struct Downloads {
    each: BTreeMap<u64, One>,
    /// The bar for all planned downloads. `None` if no downloads are planned.
    whole: Option<ProgressBar>,
    plans: usize,
    fetched_files: usize,
    fetched_bytes: u64,
}

struct One {
    bar: ProgressBar,
    bytes: u64,
}

impl Screen {
    pub(super) fn new(settings: &Settings) -> Self {
        let is_quiet = settings.quiet.unwrap_or(false);
        match settings.color.unwrap_or(defaults::COLOR) {
            Color::Auto => {}
            Color::Always => anstream::ColorChoice::Always.write_global(),
            Color::Never => anstream::ColorChoice::Never.write_global(),
        }
        let shows_bars = !is_quiet && std::io::stderr().is_terminal();
        let target = if shows_bars { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self {
            bars: MultiProgress::with_draw_target(target),
            downloads: Mutex::default(),
            proof: Mutex::default(),
            is_quiet,
            is_verbose: settings.verbose.unwrap_or(false) && !is_quiet,
        }
    }

    /// Returns a screen without progress bars. It shows failures that happen before the settings of the real screen are
    /// known.
    pub(super) fn plain() -> Self {
        Self {
            bars: MultiProgress::with_draw_target(ProgressDrawTarget::hidden()),
            downloads: Mutex::default(),
            proof: Mutex::default(),
            is_quiet: false,
            is_verbose: false,
        }
    }

    /// Whether stdout is a terminal, which means that a person reads it.
    pub(super) fn is_terminal(&self) -> bool {
        std::io::stdout().is_terminal()
    }

    /// Prints a result for scripts. If stdout is a terminal, characters that a terminal would interpret are escaped.
    pub(super) fn print(&self, line: impl Display) -> Result<(), Failure> {
        let line = line.to_string();
        let shown = if self.is_terminal() { escaped(&line) } else { line.as_str().into() };
        let mut stdout = anstream::stdout();
        written(writeln!(stdout, "{shown}").and_then(|()| stdout.flush()))
    }

    /// Prints a line for people, unless `--quiet` is set.
    pub(super) fn say(&self, line: impl Display) {
        if !self.is_quiet {
            self.say_anyway(line);
        }
    }

    /// Reports one event. The second and all later lines of `text` are indented. Otherwise, a foreign text could look
    /// like a message of lath.
    fn report(&self, label: &str, text: &str) {
        self.say_anyway(format_args!("{label}{}", text.replace('\n', "\n  ")));
    }

    fn say_anyway(&self, line: impl Display) {
        let line = clean(&line.to_string());
        self.bars.suspend(|| {
            // If stderr cannot be written to, lath cannot report this anywhere.
            let _ = writeln!(anstream::stderr(), "{line}");
        });
    }

    fn show_proof(&self, ended: usize, checks: usize, message: String) {
        let mut proof = self.proof.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = proof.get_or_insert_with(|| {
            let bar = self.bars.add(ProgressBar::new(0));
            bar.set_style(style("  {msg:40!} {bar:24} {pos}/{len}"));
            bar
        });
        bar.set_length(checks as u64);
        bar.set_position(ended as u64);
        bar.set_message(message);
        if ended == checks {
            bar.finish_and_clear();
            *proof = None;
        }
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
            Event::Warning(text) => self.report("warning: ", &text),
            Event::Detail(text) if self.is_verbose => self.report("  ", &text),
            Event::Detail(_) => {}
            Event::Step(_) | Event::Output(_) | Event::Note(_) if self.is_quiet => {}
            Event::Step(text) => self.report("", &text),
            Event::Output(line) => self.report("  ", &line),
            Event::Note(text) => self.report("note: ", &text),
            Event::DownloadsPlanned { bytes } => downloads.plan(bytes, &self.bars),
            Event::DownloadsFinished { files, bytes } => {
                if let Some(line) = downloads.finish_plan(files, bytes) {
                    self.say(line);
                }
            }
            Event::DownloadStarted { id, name, total } => {
                if self.is_verbose {
                    self.say(format_args!("  fetching {name}"));
                }
                downloads.start(id, name, total, &self.bars);
            }
            Event::UploadStarted { id, name, total } => {
                if self.is_verbose {
                    self.say(format_args!("  pushing {name}"));
                }
                downloads.start(id, name, total, &self.bars);
            }
            Event::ProofProgress { ended, checks, elapsed_secs, limit_secs } => {
                let limit = if limit_secs == 0 { String::new() } else { format!(" of at most {limit_secs}") };
                self.show_proof(ended, checks, format!("checks, {elapsed_secs} s{limit}"));
            }
            Event::DownloadProgress { id, bytes } => downloads.progress(id, bytes),
            Event::DownloadFinished { id } => {
                if let Some(one) = downloads.each.remove(&id) {
                    one.bar.finish_and_clear();
                }
            }
        }
    }
}

impl Downloads {
    fn plan(&mut self, bytes: u64, bars: &MultiProgress) {
        self.plans += 1;
        let whole = self.whole.get_or_insert_with(|| {
            let bar = bars.add(ProgressBar::new(0));
            bar.set_style(style("  {msg:40!} {bar:24} {bytes}/{total_bytes} {bytes_per_sec}"));
            bar.set_message("all downloads");
            bar
        });
        whole.inc_length(bytes);
    }

    /// Ends one plan of downloads. Returns the line that is shown when no plan is left. `None` if other downloads are
    /// still planned.
    fn finish_plan(&mut self, files: usize, bytes: u64) -> Option<String> {
        self.fetched_files += files;
        self.fetched_bytes += bytes;
        self.plans = self.plans.saturating_sub(1);
        if self.plans > 0 {
            return None;
        }
        if let Some(whole) = self.whole.take() {
            whole.finish_and_clear();
        }
        let (files, bytes) = (std::mem::take(&mut self.fetched_files), std::mem::take(&mut self.fetched_bytes));
        let noun = if files == 1 { "file" } else { "files" };
        Some(format!("  fetched {files} {noun}, {}", megabytes(bytes)))
    }

    fn start(&mut self, id: u64, name: String, total: Option<u64>, bars: &MultiProgress) {
        let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
        let bar = match &self.whole {
            Some(whole) => bars.insert_before(whole, bar),
            None => bars.add(bar),
        };
        bar.set_style(style("  {msg:40!} {bar:24} {bytes}/{total_bytes}"));
        bar.set_message(clean(&name));
        self.each.insert(id, One { bar, bytes: 0 });
    }

    fn progress(&mut self, id: u64, bytes: u64) {
        let Some(one) = self.each.get_mut(&id) else { return };
        one.bar.set_position(bytes);
        if let Some(whole) = &self.whole {
            // If a download starts again, `bytes` is less than `one.bytes`, so the bytes of the first attempt are
            // subtracted.
            whole.set_position((whole.position() + bytes).saturating_sub(one.bytes));
        }
        one.bytes = bytes;
    }
}

/// Returns the failure of a write to stdout. A closed pipe is not a failure, because a reader such as `head` closes the
/// pipe when it has read enough.
pub(super) fn written(outcome: io::Result<()>) -> Result<(), Failure> {
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::outside("cannot write to standard output", vec![error.to_string()]))
        }
        _ => Ok(()),
    }
}

/// Prints help, the version, or an error. An error quotes the arguments. If the arguments contain characters that a
/// terminal would interpret, these characters are escaped, and the error is printed without colours.
pub(super) fn print_usage(error: &clap::Error) -> io::Result<()> {
    let text = error.render().to_string();
    let shown = clean(&text);
    if !error.use_stderr() || shown == text {
        return error.print();
    }
    write!(anstream::stderr(), "{shown}")
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_is_the_sum_of_all_plans_and_is_told_once() {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        let mut downloads = Downloads::default();
        downloads.plan(100, &bars);
        downloads.plan(50, &bars);
        downloads.start(1, "one".to_owned(), Some(100), &bars);
        downloads.start(2, "two".to_owned(), None, &bars);
        for (id, bytes) in [(1, 60), (2, 10), (1, 20), (1, 100), (2, 50)] {
            downloads.progress(id, bytes);
        }
        let whole = downloads.whole.clone().unwrap();
        assert_eq!((whole.position(), whole.length()), (150, Some(150)));
        assert_eq!(downloads.finish_plan(1, 100_000), None);
        assert_eq!(downloads.finish_plan(2, 1_900_000).as_deref(), Some("  fetched 3 files, 2.0 MB"));
        assert!(downloads.whole.is_none());
    }
}
