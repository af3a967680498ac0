use tokio::io::{AsyncReadExt, DuplexStream, duplex};

use super::*;

/// A client whose streams are in the test's hands: what it says, what it hears.
fn client() -> (Client, DuplexStream, DuplexStream) {
    let (said, input) = duplex(1 << 16);
    let (output, heard) = duplex(1 << 16);
    let conversation = Mutex::default();
    (
        Client { requests: Lines::of(Box::new(input)), output: Box::new(output), conversation },
        said,
        heard,
    )
}

async fn line(from: &mut DuplexStream) -> String {
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        line.push(from.read_u8().await.unwrap());
    }
    String::from_utf8(line).unwrap()
}

const HELLO: &str = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{}}\n";
const READY: &str = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n";
const ASK: &str = "{\"jsonrpc\":\"2.0\",\"id\":\"a\",\"method\":\"tools/call\"}\n";

#[tokio::test]
async fn the_next_server_is_greeted_and_the_client_hears_of_what_was_lost_once() {
    let (mut client, mut said, mut heard) = client();
    let (near, mut server) = duplex(1 << 16);
    let (left, ()) = tokio::join!(client.pass(near), async {
        for text in [HELLO, READY, ASK] {
            said.write_all(text.as_bytes()).await.unwrap();
            assert_eq!(line(&mut server).await, text);
            if text == HELLO {
                server.write_all(b"{\"id\":1,\"result\":{}}\n").await.unwrap();
                assert_eq!(line(&mut heard).await, "{\"id\":1,\"result\":{}}\n");
            }
        }
        drop(server);
    });
    assert_eq!(left.unwrap(), EndedBy::Server);
    client.fail_pending().await.unwrap();
    let apology: serde_json::Value = serde_json::from_str(&line(&mut heard).await).unwrap();
    assert_eq!(
        (&apology["id"], &apology["error"]["data"]["code"]),
        (&"a".into(), &"server_lost".into())
    );

    let (near, mut server) = duplex(1 << 16);
    let (left, ()) = tokio::join!(client.pass(near), async {
        assert_eq!(line(&mut server).await, HELLO);
        assert_eq!(line(&mut server).await, READY);
        server.write_all(b"{\"id\":1,\"result\":{}}\n{\"id\":2,\"result\":{}}\n").await.unwrap();
        assert_eq!(
            line(&mut heard).await,
            "{\"id\":2,\"result\":{}}\n",
            "it has had the answer to its greeting"
        );
        drop(said);
        let mut rest = String::new();
        server.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "");
        server.write_all(b"{\"id\":3,\"result\":{}}\n").await.unwrap();
        drop(server);
    });
    assert_eq!(left.unwrap(), EndedBy::Client);
    assert_eq!(
        line(&mut heard).await,
        "{\"id\":3,\"result\":{}}\n",
        "what is still answered comes through"
    );
}

#[tokio::test]
async fn a_client_that_was_lost_while_it_greeted_greets_again() {
    let (mut client, mut said, mut heard) = client();
    let (near, mut server) = duplex(1 << 16);
    let (left, ()) = tokio::join!(client.pass(near), async {
        said.write_all(HELLO.as_bytes()).await.unwrap();
        assert_eq!(line(&mut server).await, HELLO);
        drop(server);
    });
    assert_eq!(left.unwrap(), EndedBy::Server);
    client.fail_pending().await.unwrap();
    assert!(line(&mut heard).await.contains("\"id\":1,\"error\""));
    let (near, mut server) = duplex(1 << 16);
    let (_, ()) = tokio::join!(client.pass(near), async {
        said.write_all(HELLO.as_bytes()).await.unwrap();
        assert_eq!(line(&mut server).await, HELLO, "once");
        drop(said);
        let mut rest = String::new();
        server.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "");
        drop(server);
    });
}

#[tokio::test]
async fn a_line_that_is_too_long_passes_in_pieces() {
    let mut text = vec![b'x'; LINE_BYTES_MAX + (1 << 18)];
    text.extend_from_slice(b"\n{}\nlast");
    let mut lines = Lines::of(text.as_slice());
    let (mut passed, mut whole) = (Vec::new(), Vec::new());
    while let Some(piece) = lines.next().await.unwrap() {
        if lines.is_whole() {
            whole.push(String::from_utf8(piece.clone()).unwrap());
        }
        passed.extend_from_slice(&piece);
    }
    assert!(passed == text, "everything passes");
    assert!(whole == ["{}\n", "last"], "{} whole lines", whole.len());
}
