use super::*;

#[test]
fn an_origin_is_named_as_clients_send_it() {
    for origin in [
        "https://app.example",
        "http://127.0.0.1:6274",
        "http://[::1]:8080",
        "null",
        "file://",
        "vscode-file://vscode-app",
        "vscode-webview://0a1b-2c",
        "app://-",
        "app://obsidian.md",
        "capacitor://localhost",
        "tauri://localhost",
        "chrome-extension://abcdefgh",
    ] {
        assert!(is_origin(origin), "{origin}");
    }
    for wrong in [
        "*",
        "",
        "Null ",
        "example.com",
        "https://*",
        "https://*.example",
        "https://app.example/",
        "https://app.example/path",
        "https://user@app.example",
        "HTTPS://app.example",
        "http://app.example:99999",
        "file:///home",
        "app://-/index.html",
        "app://*",
        "://x",
        "1app://x",
        "javascript:alert(1)",
        "data:text/html,x",
    ] {
        assert!(!is_origin(wrong), "{wrong}");
    }
}
