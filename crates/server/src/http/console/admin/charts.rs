//! Charts that are drawn without script: bars and columns as SVG, each number also as text.

use crate::http::console::page::Frame;

use super::parts::{Cell, Table};

/// The length of a whole bar, and the height of a whole column.
const WHOLE: u64 = 1_000;

/// A chart.
pub(super) struct Chart {
    pub(super) title: String,
    pub(super) shape: Shape,
    /// Colours with what they stand for.
    pub(super) legend: Vec<(&'static str, String)>,
    /// Where there is nothing to draw: what is said instead.
    pub(super) empty: String,
}

/// How a chart is drawn.
pub(super) enum Shape {
    Bars(Vec<Bar>),
    Columns(Columns),
}

/// One bar: parts of it lie behind each other.
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) href: Option<String>,
    /// All numbers of the bar in words.
    pub(super) words: String,
    pub(super) segments: Vec<Segment>,
}

/// A part of a bar, in thousandths of the longest.
pub(super) struct Segment {
    pub(super) class: &'static str,
    pub(super) x: u64,
    pub(super) width: u64,
}

/// Columns beside each other, over time.
pub(super) struct Columns {
    /// The height of the highest in words.
    pub(super) peak: String,
    pub(super) first: String,
    pub(super) last: String,
    pub(super) blocks: Vec<Block>,
    /// As many as there are columns, times ten.
    pub(super) width: usize,
    /// The same as text.
    pub(super) table: Table,
}

/// A part of a column, from the bottom.
pub(super) struct Block {
    pub(super) class: &'static str,
    pub(super) x: usize,
    pub(super) y: u64,
    pub(super) height: u64,
}

impl Columns {
    pub(super) const fn table_ref(&self) -> &Table {
        &self.table
    }
}

fn share(part: u64, whole: u64) -> u64 {
    if part == 0 { 0 } else { (part.saturating_mul(WHOLE) / whole.max(1)).max(4) }
}

/// A bar as it is asked for: label, link, and its parts with class, number and word.
pub(super) type Wanted = (String, Option<String>, Vec<(&'static str, u64, String)>);

/// Bars with one scale.
pub(super) fn bars(wanted: Vec<Wanted>) -> Shape {
    let sum = |parts: &[(&'static str, u64, String)]| -> u64 {
        parts.iter().map(|(_, number, _)| number).sum()
    };
    let longest = wanted.iter().map(|(.., parts)| sum(parts)).max().unwrap_or(0);
    let bar = |(label, href, parts): Wanted| {
        let mut x = 0;
        let mut segments = Vec::with_capacity(parts.len());
        let mut words = Vec::with_capacity(parts.len());
        for (class, number, word) in parts {
            let width = share(number, longest).min(WHOLE.saturating_sub(x));
            if number > 0 {
                words.push(format!("{number} {word}"));
                segments.push(Segment { class, x, width });
            }
            x += width;
        }
        Bar { label, href, words: words.join(", "), segments }
    };
    Shape::Bars(wanted.into_iter().map(bar).collect())
}

/// What stands over one span of time: its label, and its parts with class and number.
pub(super) type Span = (String, Vec<(&'static str, u64)>);

/// Columns with one scale. `words` says a number with its unit.
pub(super) fn columns(
    spans: Vec<Span>,
    heads: Vec<String>,
    frame: &Frame,
    words: impl Fn(u64) -> String,
) -> Shape {
    let sum = |parts: &[(&'static str, u64)]| -> u64 { parts.iter().map(|(_, n)| n).sum() };
    let highest = spans.iter().map(|(_, parts)| sum(parts)).max().unwrap_or(0);
    let end = |span: Option<&Span>| span.map_or_else(String::new, |(label, _)| label.clone());
    let (first, last) = (end(spans.first()), end(spans.last()));
    let width = spans.len() * 10;
    let mut blocks = Vec::new();
    let mut table = Table::new(frame.say("chart-numbers"), heads, String::new());
    for (place, (label, parts)) in spans.into_iter().enumerate() {
        let mut y = WHOLE;
        let mut row = vec![Cell::text(label)];
        for (class, number) in parts {
            let height = share(number, highest).min(y);
            y -= height;
            if height > 0 {
                blocks.push(Block { class, x: place * 10 + 1, y, height });
            }
            row.push(Cell::text(words(number)));
        }
        table.rows.push(row);
    }
    Shape::Columns(Columns { peak: words(highest), first, last, blocks, width, table })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_share_and_never_longer_than_the_chart() {
        let parts = |numbers: [u64; 2]| {
            vec![("good", numbers[0], "a".to_owned()), ("over", numbers[1], "b".to_owned())]
        };
        let wanted = vec![
            ("x".to_owned(), None, parts([999_999, 1])),
            ("y".to_owned(), None, parts([0, 500_000])),
            ("z".to_owned(), None, parts([0, 0])),
        ];
        let Shape::Bars(bars) = bars(wanted) else { panic!("no bars") };
        let ends = |bar: &Bar| bar.segments.iter().map(|s| s.x + s.width).max();
        assert_eq!(ends(&bars[0]), Some(WHOLE));
        assert_eq!((bars[1].segments[0].x, bars[1].segments[0].width), (0, 500));
        assert_eq!((ends(&bars[2]), bars[2].words.as_str()), (None, ""));
        assert_eq!(bars[0].words, "999999 a, 1 b");
    }
}
