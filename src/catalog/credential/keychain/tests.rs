use super::*;

fn args(args: &[&str]) -> Vec<String> {
    args.iter().map(|arg| (*arg).to_owned()).collect()
}

#[tokio::test]
async fn what_the_program_prints_is_the_value() {
    assert_eq!(ask("printf", &args(&["tok-123456\\n"])).await.as_deref(), Ok("tok-123456"));
    assert_eq!(ask("false", &[]).await.unwrap_err(), "there is no such entry, or it is locked");
    assert_eq!(ask("true", &[]).await.unwrap_err(), "there is no such entry, or it is locked");
    assert_eq!(
        ask("no-such-keychain", &[]).await.unwrap_err(),
        "the program `no-such-keychain` is not installed"
    );
}
