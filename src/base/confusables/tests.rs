use super::*;

#[test]
fn invisible_and_foreign_characters_are_escaped() {
    assert_eq!(
        escaped("p\u{430}ypal\u{202e}\r\n\tпривет caf\u{e9}"),
        "p\\u{430}ypal\\u{202e}\\u{d}\n\tпривет caf\u{e9}"
    );
    assert_eq!(escaped("שלום 東京タワーです 한국어 µm 🙂"), "שלום 東京タワーです 한국어 µm 🙂");
}

#[test]
fn no_character_is_lost() {
    let text = "a\u{430}b \u{440}\u{430} \n\u{1f600} x";
    assert_eq!(pieces(text, true).into_iter().map(|(_, piece)| piece).collect::<String>(), text);
}
