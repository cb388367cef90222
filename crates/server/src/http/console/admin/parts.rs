//! What pages of administrators are made of: tables, forms, facts and charts, each drawn by one
//! template, so that every one of them can be used by keyboard and on a phone.

use std::fmt::Display;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use crate::http::console::page::{self, Frame};
use crate::http::console::times::Moment;
use crate::http::wire::{SHORT_CHARS_MAX, URL_CHARS_MAX};

use super::charts::{Chart, Shape};

/// A piece of a page.
pub(super) enum Part {
    /// A heading below that of the page.
    Heading(String),
    /// A paragraph.
    Text(String),
    /// Something that must be seen.
    Alert(String),
    /// That something was done.
    Good(String),
    /// Links beside each other.
    Links(Vec<Link>),
    /// Names with what they stand for.
    Facts(Vec<(String, Cell)>),
    /// Numbers worth a large letter.
    Figures(Vec<Figure>),
    Table(Table),
    Form(Form),
    Chart(Chart),
    /// Text as it stands.
    Code(String),
    /// A secret that is shown once.
    Secret(String),
}

/// A link that looks like a button, or does not.
pub(super) struct Link {
    pub(super) href: String,
    pub(super) words: String,
    pub(super) button: bool,
}

impl Link {
    pub(super) const fn to(href: String, words: String) -> Self {
        Self { href, words, button: false }
    }

    pub(super) const fn button(href: String, words: String) -> Self {
        Self { href, words, button: true }
    }
}

/// A number with what it counts.
pub(super) struct Figure {
    pub(super) number: String,
    pub(super) words: String,
    pub(super) href: Option<String>,
}

/// What stands in one place of a table.
#[derive(Default)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) href: Option<String>,
    /// The class of a state; the words say the same.
    pub(super) state: Option<&'static str>,
    /// The instant that the text is about.
    pub(super) exact: Option<String>,
    pub(super) is_code: bool,
    /// Of something that is used up: how far, in percent.
    pub(super) bar: Option<u64>,
    /// A box to tick: its name, its value and its form; the text says of what.
    pub(super) tick: Option<(&'static str, String, &'static str)>,
    /// A button that does something to what the row is about.
    pub(super) form: Option<Form>,
}

impl Cell {
    pub(super) fn text(text: impl Display) -> Self {
        Self { text: text.to_string(), ..Self::default() }
    }

    /// Nothing, where there is nothing.
    pub(super) fn maybe(text: Option<impl Display>) -> Self {
        Self::text(text.map_or_else(|| "–".to_owned(), |text| text.to_string()))
    }

    pub(super) fn code(text: impl Display) -> Self {
        Self { is_code: true, ..Self::text(text) }
    }

    pub(super) fn link(text: impl Display, href: String) -> Self {
        Self { href: Some(href), ..Self::text(text) }
    }

    pub(super) fn state(words: String, class: &'static str) -> Self {
        Self { state: Some(class), ..Self::text(words) }
    }

    pub(super) fn when(moment: Moment) -> Self {
        Self { exact: Some(moment.exact), ..Self::text(moment.words) }
    }

    pub(super) fn when_or(moment: Option<Moment>, otherwise: String) -> Self {
        moment.map_or_else(|| Self::text(otherwise), Self::when)
    }

    pub(super) fn tick(
        name: &'static str,
        value: String,
        form: &'static str,
        of: impl Display,
    ) -> Self {
        Self { tick: Some((name, value, form)), ..Self::text(of) }
    }

    pub(super) fn act(form: Form) -> Self {
        Self { form: Some(form), ..Self::default() }
    }
}

/// A table.
#[derive(Default)]
pub(super) struct Table {
    pub(super) caption: String,
    pub(super) heads: Vec<String>,
    pub(super) rows: Vec<Vec<Cell>>,
    /// What is said and offered where there is no row.
    pub(super) empty: String,
    pub(super) empty_link: Option<Link>,
    /// Where the rows behind these are.
    pub(super) next: Option<String>,
    pub(super) next_words: String,
}

impl Table {
    pub(super) fn new(caption: String, heads: Vec<String>, empty: String) -> Self {
        Self { caption, heads, empty, ..Self::default() }
    }

    /// The table as a part of a page, if it has rows.
    pub(super) fn unless_empty(self) -> Option<Part> {
        (!self.rows.is_empty()).then_some(Part::Table(self))
    }

    /// The cells of a row, each with its head, which a phone shows beside it.
    pub(super) fn cells<'a>(
        &'a self,
        row: &'a [Cell],
    ) -> impl Iterator<Item = (&'a str, &'a Cell)> {
        self.heads.iter().map(String::as_str).zip(row)
    }
}

/// What a form asks.
pub(super) enum Ask {
    Hidden(String),
    Text {
        value: String,
        most: usize,
        required: bool,
    },
    Number {
        value: String,
    },
    /// What is typed unseen, and never shown.
    Secret,
    Area {
        value: String,
        rows: u32,
    },
    /// Value, words, whether it is chosen.
    Choice(Vec<(String, String, bool)>),
    /// The same, of which any number may be chosen.
    Ticks(Vec<(String, String, bool)>),
}

/// A field of a form.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) label: String,
    pub(super) hint: String,
    pub(super) ask: Ask,
}

impl Field {
    pub(super) fn hidden(name: &'static str, value: impl Display) -> Self {
        let ask = Ask::Hidden(value.to_string());
        Self { name, label: String::new(), hint: String::new(), ask }
    }

    pub(super) fn text(name: &'static str, label: String, value: &str) -> Self {
        let ask = Ask::Text { value: value.to_owned(), most: SHORT_CHARS_MAX, required: false };
        Self { name, label, hint: String::new(), ask }
    }

    pub(super) fn number(name: &'static str, label: String, value: impl Display) -> Self {
        let ask = Ask::Number { value: value.to_string() };
        Self { name, label, hint: String::new(), ask }
    }

    pub(super) fn secret(name: &'static str, label: String) -> Self {
        Self { name, label, hint: String::new(), ask: Ask::Secret }
    }

    pub(super) fn area(name: &'static str, label: String, value: &str, rows: u32) -> Self {
        let ask = Ask::Area { value: value.to_owned(), rows };
        Self { name, label, hint: String::new(), ask }
    }

    pub(super) fn choice(
        name: &'static str,
        label: String,
        choices: Vec<(String, String, bool)>,
    ) -> Self {
        Self { name, label, hint: String::new(), ask: Ask::Choice(choices) }
    }

    pub(super) fn ticks(
        name: &'static str,
        label: String,
        choices: Vec<(String, String, bool)>,
    ) -> Self {
        Self { name, label, hint: String::new(), ask: Ask::Ticks(choices) }
    }

    /// Takes what is longer than a name: an address, or several words.
    pub(super) const fn longer(mut self) -> Self {
        if let Ask::Text { most, .. } = &mut self.ask {
            *most = URL_CHARS_MAX;
        }
        self
    }

    pub(super) fn hinted(self, hint: String) -> Self {
        Self { hint, ..self }
    }

    pub(super) fn required(mut self) -> Self {
        if let Ask::Text { required, .. } = &mut self.ask {
            *required = true;
        }
        self
    }
}

/// A button of a form.
pub(super) struct Button {
    pub(super) words: String,
    /// What only a screen reader says: what it is about.
    pub(super) about: String,
    /// Name and value that it sends; none if the name is empty.
    pub(super) name: &'static str,
    pub(super) value: &'static str,
    pub(super) class: &'static str,
}

impl Button {
    pub(super) const fn plain(words: String) -> Self {
        Self { words, about: String::new(), name: "", value: "", class: "" }
    }

    pub(super) const fn quiet(words: String) -> Self {
        Self { words, about: String::new(), name: "", value: "", class: "quiet" }
    }

    pub(super) const fn danger(words: String) -> Self {
        Self { words, about: String::new(), name: "", value: "", class: "danger" }
    }

    pub(super) fn sends(self, name: &'static str, value: &'static str) -> Self {
        Self { name, value, ..self }
    }

    pub(super) fn about(self, about: impl Display) -> Self {
        Self { about: about.to_string(), ..self }
    }
}

/// A form.
#[derive(Default)]
pub(super) struct Form {
    /// Tells its fields from those of other forms of the page; empty if it asks nothing.
    pub(super) key: &'static str,
    /// Its heading, if it has one.
    pub(super) title: String,
    pub(super) action: String,
    /// Whether it only looks: it goes by GET.
    pub(super) looks: bool,
    /// Whether its fields stand beside each other.
    pub(super) inline: bool,
    /// Whether it is hidden until it is wanted.
    pub(super) folded: bool,
    pub(super) fields: Vec<Field>,
    pub(super) buttons: Vec<Button>,
}

impl Form {
    /// A form that acts.
    pub(super) fn acts(key: &'static str, action: String) -> Self {
        Self { key, action, ..Self::default() }
    }

    /// A form that filters a list.
    pub(super) fn filters(key: &'static str, action: &str) -> Self {
        let action = action.to_owned();
        Self { key, action, looks: true, inline: true, ..Self::default() }
    }

    pub(super) fn titled(self, title: String) -> Self {
        Self { title, ..self }
    }

    pub(super) fn folded(self, title: String) -> Self {
        Self { title, folded: true, ..self }
    }

    pub(super) fn with(mut self, field: Field) -> Self {
        self.fields.push(field);
        self
    }

    pub(super) fn ending(mut self, button: Button) -> Self {
        self.buttons.push(button);
        self
    }
}

#[derive(Template)]
#[template(path = "console/admin/page.html")]
struct Page<'a> {
    frame: &'a Frame,
    title: String,
    parts: Vec<Part>,
}

/// A page of parts.
pub(super) fn show(frame: &Frame, title: String, parts: Vec<Part>) -> Response {
    page::show(StatusCode::OK, &Page { frame, title, parts })
}
