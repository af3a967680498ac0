use super::*;

#[test]
fn one_is_singular_and_everything_else_is_not() {
    let table = [
        (counted(0, "tool"), "0 tools"),
        (counted(1, "tool"), "1 tool"),
        (counted(2_usize, "tool call"), "2 tool calls"),
        (counted(1_u64, "policy"), "1 policy"),
        (counted(3_u32, "policy"), "3 policies"),
        (counted(2, "key"), "2 keys"),
        (counted(2, "address"), "2 addresses"),
        (counted(2, "match"), "2 matches"),
        (counted(2, "path"), "2 paths"),
    ];
    for (said, right) in table {
        assert_eq!(said, right);
    }
    assert_eq!([1, 2].map(|number| verb(number, "is", "are")), ["is", "are"]);
}
