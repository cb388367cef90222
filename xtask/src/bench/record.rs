//! What a run of the benchmark showed, printed and kept in bench/RESULTS.md.

use std::fmt::Write as _;

use anyhow::{Context, Result};

use super::Options;
use super::load::{Alternation, machine_facts};
use crate::workspace::{commit, root, stdout_of};

const FILE: &str = "bench/RESULTS.md";
/// Below this line in the file stand the runs, newest first.
const MARK: &str = "<!-- runs, newest first -->";

/// What a figure must reach.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bar {
    AtLeast(f64),
    AtMost(f64),
}

impl Bar {
    fn met_by(self, figure: f64) -> bool {
        match self {
            Self::AtLeast(least) => figure >= least,
            Self::AtMost(most) => figure <= most,
        }
    }
}

impl std::fmt::Display for Bar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtLeast(least) => write!(f, ">= {least}"),
            Self::AtMost(most) => write!(f, "<= {most}"),
        }
    }
}

/// The figures of one run with their conditions.
pub(super) struct Record {
    heading: String,
    conditions: Vec<String>,
    compared: Vec<String>,
    figures: Vec<String>,
    failed: bool,
}

impl Record {
    pub(super) fn new(options: &Options) -> Self {
        let today = stdout_of(std::process::Command::new("date").args(["-u", "+%F %H:%M UTC"]))
            .unwrap_or_else(|_| "unknown date".to_owned());
        let mut conditions = machine_facts();
        conditions.push(format!(
            "wrk -t1 -c64, HTTP/1.1 keep-alive on loopback; {} alternations of {} s, medians; \
             {} tokens",
            options.rounds, options.seconds, options.tokens
        ));
        Self {
            heading: format!("## {today}, commit {}", commit()),
            conditions,
            compared: Vec::new(),
            figures: Vec::new(),
            failed: false,
        }
    }

    /// One row of the table: our server beside its rival under the same requests.
    pub(super) fn compare(&mut self, case: &str, figures: &Alternation, bar: &str, met: bool) {
        let Alternation { rival, ours } = figures;
        let verdict = match (bar.is_empty(), met) {
            (true, _) => "",
            (false, true) => "yes",
            (false, false) => "**no**",
        };
        self.compared.push(format!(
            "| {case} | {:.0} | {:.0} | **{:.2}** | {:.1} | {:.1} | {:.2} | {:.0} / {:.0} \
             | {:.0} / {:.0} | {bar} | {verdict} |",
            rival.rate,
            ours.rate,
            ours.rate / rival.rate,
            rival.cpu_us,
            ours.cpu_us,
            ours.cpu_us / rival.cpu_us,
            rival.p50_us,
            ours.p50_us,
            rival.p99_us,
            ours.p99_us,
        ));
        say_last(&self.compared);
    }

    /// One figure, with the bar it has to reach if there is one.
    pub(super) fn figure(&mut self, what: &str, figure: f64, unit: &str, bar: Option<Bar>) {
        let mut line = format!("- {what}: **{}** {unit}", rounded(figure));
        if let Some(bar) = bar {
            let verdict = if bar.met_by(figure) { "met" } else { "**not met**" };
            // Writing into a string cannot fail.
            write!(line, " (bar {bar}: {verdict})").ok();
        }
        self.figures.push(line);
        say_last(&self.figures);
    }

    /// A remark that a reader needs to understand the figures.
    pub(super) fn note(&mut self, text: &str) {
        self.figures.push(format!("- {text}"));
        say_last(&self.figures);
    }

    /// A case that could not be measured.
    pub(super) fn failed(&mut self, case: &str, error: &anyhow::Error) {
        self.failed = true;
        // The first line says what; a rival's program may have said it a hundred times.
        let said = format!("{error:#}");
        let first = said.lines().next().unwrap_or_default();
        self.figures.push(format!("- {case}: **could not be measured**: {first}"));
    }

    /// Whether every case could be measured.
    pub(super) fn complete(&self) -> bool {
        !self.failed
    }

    /// The run as a section of the file.
    pub(super) fn section(&self) -> String {
        let mut lines = vec![self.heading.clone(), String::new()];
        lines.extend(self.conditions.iter().map(|condition| format!("- {condition}")));
        if !self.compared.is_empty() {
            lines.push(String::new());
            lines.push(
                "| case | rival/s | ours/s | ratio | rival CPU us | ours CPU us | CPU ratio \
                 | p50 us rival / ours | p99 us rival / ours | bar | met |"
                    .to_owned(),
            );
            lines.push("|---|---|---|---|---|---|---|---|---|---|---|".to_owned());
            lines.extend(self.compared.iter().cloned());
        }
        if !self.figures.is_empty() {
            lines.push(String::new());
            lines.extend(self.figures.iter().cloned());
        }
        lines.join("\n") + "\n"
    }

    /// Puts the run at the head of those in bench/RESULTS.md.
    ///
    /// # Errors
    ///
    /// Fails when the file is not the one that is expected.
    pub(super) fn write(&self) -> Result<()> {
        let path = root().join(FILE);
        let text = std::fs::read_to_string(&path)?;
        std::fs::write(&path, with_section(&text, &self.section())?)?;
        println!("recorded in {FILE}");
        Ok(())
    }
}

/// Shows a figure as soon as it is known: a run takes minutes.
fn say_last(lines: &[String]) {
    println!("  {}", lines.last().map_or("", String::as_str));
}

fn with_section(text: &str, section: &str) -> Result<String> {
    let (before, after) =
        text.split_once(MARK).with_context(|| format!("{FILE} has lost its line `{MARK}`"))?;
    Ok(format!("{before}{MARK}\n\n{section}\n{}", after.trim_start()))
}

/// Three significant digits are more than the noise allows.
fn rounded(figure: f64) -> String {
    match figure.abs() {
        size if size >= 100.0 => format!("{figure:.0}"),
        size if size >= 10.0 => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_run_stands_before_the_old_ones() {
        let text = format!("# Results\n\n{MARK}\n\n## old\n");
        let text = with_section(&text, "## new\n").unwrap();
        assert_eq!(text, format!("# Results\n\n{MARK}\n\n## new\n\n## old\n"));
        assert!(with_section("# nothing\n", "## new\n").is_err());
    }

    #[test]
    fn a_bar_is_met_at_its_own_value() {
        assert!(Bar::AtLeast(0.7).met_by(0.7));
        assert!(!Bar::AtLeast(0.7).met_by(0.69));
        assert!(Bar::AtMost(1.5).met_by(1.5));
        assert!(!Bar::AtMost(1.5).met_by(f64::NAN));
    }

    #[test]
    fn figures_are_not_more_exact_than_they_are() {
        assert_eq!([rounded(1234.56), rounded(12.34), rounded(0.876)], ["1235", "12.3", "0.88"]);
    }
}
