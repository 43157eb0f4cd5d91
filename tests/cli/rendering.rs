//! What tables look like, to the letter.

use harrier::cli::table::{Canvas, Cell, Table, Tone};

const PLAIN: Canvas = Canvas {
    width: None,
    colours: false,
};

fn narrow(width: u16) -> Canvas {
    Canvas {
        width: Some(width),
        ..PLAIN
    }
}

fn queues() -> Table {
    let mut table = Table::new(["name", "state", "ready"]);
    table.push(vec![
        Cell::text("orders"),
        Cell::text("running"),
        Cell::number("12"),
    ]);
    table.push(vec![
        Cell::text("a-queue-with-a-name-that-goes-on-and-on"),
        Cell::text("down").toned(Tone::Bad),
        Cell::number("1200345"),
    ]);
    table
}

#[test]
fn columns_are_as_wide_as_what_is_in_them() {
    let expected = "\
NAME                                     STATE      READY
orders                                   running       12
a-queue-with-a-name-that-goes-on-and-on  down     1200345";
    assert_eq!(queues().render(PLAIN), expected);
    assert_eq!(queues().render(narrow(80)), expected);
}

#[test]
fn what_does_not_fit_the_terminal_is_cut_and_marked() {
    let expected = "\
NAME                    STATE      READY
orders                  running       12
a-queue-with-a-name-t…  down     1200345";
    assert_eq!(queues().render(narrow(40)), expected);
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for width in 20..80 {
        for line in queues().render(narrow(width)).lines() {
            assert!(line.chars().count() <= width.into(), "{width}: {line}");
        }
    }
}

#[test]
fn colours_are_there_only_when_asked_for() {
    assert!(!queues().render(PLAIN).contains('\u{1b}'));
    let coloured = queues().render(Canvas {
        colours: true,
        ..PLAIN
    });
    assert!(coloured.contains('\u{1b}'), "{coloured}");
}

#[test]
fn a_name_can_not_give_the_terminal_orders() {
    let mut table = Table::new(["name"]);
    table.push(vec![Cell::text("\u{1b}]0;gotcha\u{7}\nx\u{9b}31m")]);
    let printed = table.render(PLAIN);
    assert_eq!(printed, "NAME\n\\u{1b}]0;gotcha\\u{7}\\nx\\u{9b}31m");
}

#[test]
fn one_object_is_shown_name_by_name() {
    let one = Table::of_one([
        ("name".to_owned(), Cell::text("orders")),
        ("messages".to_owned(), Cell::number("7")),
    ]);
    assert_eq!(one.render(PLAIN), "name      orders\nmessages  7");
}
