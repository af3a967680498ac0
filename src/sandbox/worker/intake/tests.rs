use super::*;

#[test]
fn it_compiles() {
    println!("{}", prepare("const x: number = 1; x").unwrap().script);
}
