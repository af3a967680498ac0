use super::*;

const COLUMNS: [Column; 3] =
    [Column::whole("ID"), Column::number("BYTES"), Column::text("TOOL", 60)];

fn rows() -> Vec<Vec<Cell>> {
    let long = "a.very.long.path.of.a.tool.that.is.longer.than.any.terminal.shows";
    vec![
        vec!["one".into(), "5".into(), long.into()],
        vec!["a.longer.id".into(), "123456".into(), "b".into()],
    ]
}

#[test]
fn names_stand_over_their_columns() {
    let lines = Table::within(None, &COLUMNS).lines(&rows(), true);
    assert_eq!(lines[0], "ID            BYTES  TOOL");
    assert!(lines[1].starts_with("one               5  a.very"), "{lines:?}");
    assert_eq!(lines[2], "a.longer.id  123456  b");
}

#[test]
fn only_a_terminal_cuts_and_never_an_id() {
    let whole = Table::within(None, &COLUMNS).lines(&rows(), false);
    assert!(whole[0].ends_with("terminal.shows"), "{whole:?}");
    let cut = Table::within(Some(60), &COLUMNS).lines(&rows(), false);
    assert!(cut[0].ends_with('…'), "{cut:?}");
    assert_eq!(console::measure_text_width(&cut[0]), 60);
    let narrow = Table::within(Some(10), &COLUMNS).lines(&rows(), false);
    assert!(narrow[1].starts_with("a.longer.id  123456"), "{narrow:?}");
}

#[test]
fn later_pages_keep_the_widths_of_earlier_ones() {
    let mut table = Table::within(None, &COLUMNS);
    table.lines(&rows(), true);
    let next = table.lines(&[vec!["x".into(), "1".into(), "t".into()]], false);
    assert_eq!(next, ["x                 1  t"]);
}

#[test]
fn a_cell_is_one_line_whatever_is_in_it() {
    let lines =
        Table::within(None, &[Column::whole("A")]).lines(&[vec!["a\nb\u{1b}c".into()]], false);
    assert_eq!(lines, ["a b\u{fffd}c"]);
}
