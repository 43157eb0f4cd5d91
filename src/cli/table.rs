//! Tables for people: as wide as the terminal, a line a row.

use std::env;
use std::io::{self, IsTerminal};

use comfy_table::{Attribute, Cell as Drawn, CellAlignment, Color, ContentArrangement, Row};

/// Space between columns.
const GAP: u16 = 2;

/// How a cell is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    /// Nothing special.
    #[default]
    Plain,
    /// As it should be.
    Good,
    /// Worth a look.
    Odd,
    /// Something is wrong.
    Bad,
}

/// What stands in a row and a column.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cell {
    text: String,
    right: bool,
    tone: Tone,
}

impl Cell {
    /// Text. Control characters in it are shown, never sent to the terminal.
    pub fn text(text: &str) -> Self {
        Self {
            text: harmless(text),
            ..Self::default()
        }
    }

    /// A number, under the others of its column.
    pub fn number(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            right: true,
            tone: Tone::Plain,
        }
    }

    /// The same in another tone.
    #[must_use]
    pub fn toned(mut self, tone: Tone) -> Self {
        self.tone = tone;
        self
    }
}

/// Where a table is printed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Canvas {
    /// Columns of the terminal; `None` is as wide as the text.
    pub width: Option<u16>,
    /// Whether to use colours.
    pub colours: bool,
}

impl Canvas {
    /// Stdout as it is.
    pub fn stdout() -> Self {
        let terminal = io::stdout().is_terminal();
        Self {
            width: if terminal { terminal_width() } else { None },
            colours: terminal && colours_wanted(),
        }
    }
}

/// Whether whoever reads a terminal wants colours (<https://no-color.org>).
pub fn colours_wanted() -> bool {
    let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
    !set("NO_COLOR") && env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Rows under titles.
#[derive(Debug, Clone, Default)]
pub struct Table {
    titles: Vec<String>,
    rows: Vec<Vec<Cell>>,
    wraps: bool,
}

impl Table {
    /// With these titles and no rows.
    pub fn new<T: Into<String>>(titles: impl IntoIterator<Item = T>) -> Self {
        Self {
            titles: titles.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// Names and values below each other, for one object. Values that are too
    /// long go on in the next line.
    pub fn of_one(rows: impl IntoIterator<Item = (String, Cell)>) -> Self {
        let row = |(name, cell): (String, Cell)| {
            let cell = Cell {
                right: false,
                ..cell
            };
            vec![Cell::text(&name), cell]
        };
        Self {
            titles: Vec::new(),
            rows: rows.into_iter().map(row).collect(),
            wraps: true,
        }
    }

    /// Adds a row.
    pub fn push(&mut self, row: Vec<Cell>) {
        self.rows.push(row);
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as text, without a line's end behind it. What doesn't fit is
    /// cut, with `…` where something is missing.
    pub fn render(&self, canvas: Canvas) -> String {
        let mut table = comfy_table::Table::new();
        table
            .force_no_tty()
            .load_style(comfy_table::presets::NOTHING);
        table.set_truncation_indicator("…");
        if canvas.colours {
            table.enforce_styling();
        }
        if let Some(width) = canvas.width {
            // The gap behind the last column may stick out: it is cut off below.
            table.set_width(width.saturating_add(GAP));
            table.set_content_arrangement(ContentArrangement::Dynamic);
        }
        if !self.titles.is_empty() {
            table.set_header(self.header());
        }
        for row in &self.rows {
            let mut drawn = Row::from(row.iter().map(draw).collect::<Vec<_>>());
            if !self.wraps {
                drawn.max_height(1);
            }
            table.add_row(drawn);
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, GAP));
        }
        let lines = table.lines().map(|line| line.trim_end().to_owned());
        lines.collect::<Vec<_>>().join("\n")
    }

    fn header(&self) -> Row {
        let title = |(at, title): (usize, &String)| {
            let numbers = self.rows.iter().filter_map(|row| row.get(at));
            let right = numbers.clone().any(|cell| cell.right);
            let cell = Drawn::new(title.to_uppercase()).add_attribute(Attribute::Bold);
            cell.set_alignment(alignment(right))
        };
        let titles: Vec<Drawn> = self.titles.iter().enumerate().map(title).collect();
        let mut header = Row::from(titles);
        header.max_height(1);
        header
    }
}

fn draw(cell: &Cell) -> Drawn {
    let drawn = Drawn::new(&cell.text).set_alignment(alignment(cell.right));
    match cell.tone {
        Tone::Plain => drawn,
        Tone::Good => drawn.fg(Color::Green),
        Tone::Odd => drawn.fg(Color::Yellow),
        Tone::Bad => drawn.fg(Color::Red),
    }
}

fn alignment(right: bool) -> CellAlignment {
    if right {
        CellAlignment::Right
    } else {
        CellAlignment::Left
    }
}

fn terminal_width() -> Option<u16> {
    comfy_table::Table::new().width()
}

/// Names are whatever clients chose: one with an escape sequence in it must not
/// reach the terminal as such.
pub fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}
