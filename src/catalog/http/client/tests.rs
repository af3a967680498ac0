//! The client against a server that says whatever a test wants, over real connections.

mod addresses;

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use futures::{StreamExt, future::BoxFuture};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::catalog::{
    credential::config::{Credential, SecretSource},
    http::config::SharedResources,
    net::guard::Resolver,
    upstream::response::{LARGE_BYTES, LARGE_MAX, ResponseLimits},
};

/// Serves one request after the other, each over a connection of its own, and keeps what it was
/// asked.
struct Scripted {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Scripted {
    /// The script gets the number of the request, from 0, and what was asked; an empty answer
    /// closes the connection.
    async fn start(script: impl Fn(usize, &str) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (script, got) = (Arc::new(script), requests.clone());
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, script.clone(), got.clone()));
            }
        });
        Self { address, requests, task }
    }

    fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://{}{path}", self.address)).unwrap()
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    script: Arc<impl Fn(usize, &str) -> String + Send + Sync>,
    requests: Arc<Mutex<Vec<String>>>,
) {
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&request).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            if body.len() >= length.unwrap_or(0) {
                break;
            }
        }
        match stream.read(&mut piece).await {
            Ok(0) | Err(_) => return,
            Ok(length) => request.extend_from_slice(&piece[..length]),
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let number = {
        let mut requests = requests.lock();
        requests.push(request.clone());
        requests.len() - 1
    };
    let answer = script(number, &request);
    let (answer, is_held) =
        answer.strip_suffix(HELD).map_or((&*answer, false), |answer| (answer, true));
    // The client may have gone, which is what some tests want.
    let _ = stream.write_all(answer.as_bytes()).await;
    if is_held {
        let _ = stream.read(&mut piece).await;
    }
}

/// Marks the end of a response whose connection stays open and sends nothing more.
const HELD: &str = "(held)";

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn ok(body: &str) -> String {
    answer("200 OK", "", body)
}

fn get(url: Url) -> ServiceRequest {
    ServiceRequest {
        method: Method::GET,
        url,
        headers: HeaderMap::new(),
        body: ServiceBody::None,
        idempotent: true,
        is_graphql: false,
        answer_bytes_max: 1024 * 1024,
        until: Until::End,
    }
}

fn post(url: Url) -> ServiceRequest {
    let body = ServiceBody::Bytes {
        content_type: "text/plain".to_owned(),
        bytes: Bytes::from_static(b"hello"),
    };
    ServiceRequest { method: Method::POST, body, idempotent: false, ..get(url) }
}

fn access() -> HttpAccess {
    let headers = [("x-team".to_owned(), "blue-team-secret-1".to_owned())].into();
    let credential = Credential::Bearer(SecretSource::Value("tok-123456".to_owned()));
    HttpAccess { headers, credential, allow_private: true, ..HttpAccess::default() }
}

fn client_with(base: &Url, access: HttpAccess) -> ServiceClient {
    rustls::crypto::ring::default_provider().install_default().ok();
    ServiceClient::new(
        ServiceConfig::new(Arc::from("up"), base.clone(), access),
        Secrets::default(),
    )
    .unwrap()
}

fn client(server: &Scripted) -> ServiceClient {
    client_with(&server.url("/"), access())
}

async fn body(
    client: &ServiceClient,
    request: ServiceRequest,
) -> Result<(u16, String), ServiceFailure> {
    let answer = client.send(request).await?;
    Ok((answer.status.as_u16(), String::from_utf8_lossy(&answer.body).into_owned()))
}

#[tokio::test]
async fn a_request_takes_headers_credential_and_body_to_its_origin_alone() {
    let server = Scripted::start(|_, _| ok("fine")).await;
    let client = client(&server);
    assert_eq!(body(&client, post(server.url("/a?b=c"))).await, Ok((200, "fine".to_owned())));
    let requests = server.requests().remove(0);
    assert!(
        requests.starts_with("POST /a?b=c HTTP/1.1\r\n") && requests.ends_with("\r\n\r\nhello"),
        "{requests}"
    );
    for line in [
        "authorization: Bearer tok-123456",
        "x-team: blue-team-secret-1",
        "content-type: text/plain",
    ] {
        assert!(requests.contains(line), "{requests}");
    }
    let elsewhere = Url::parse("http://127.0.0.1:1/").unwrap();
    let refused = body(&client, get(elsewhere)).await.unwrap_err();
    assert!(
        matches!(&refused, ServiceFailure::Refused(why) if why.contains("not of \
            `http://127.0.0.1:")),
        "{refused}"
    );
}

#[tokio::test]
async fn a_redirect_keeps_credentials_at_home_and_drops_them_for_good_elsewhere() {
    let home = Scripted::start(|_, request| match request.split(' ').nth(1).unwrap() {
        "/first" => answer("307 Temporary Redirect", "location: /second\r\n", ""),
        _ => ok("back"),
    })
    .await;
    let back = home.url("/back");
    let away =
        Scripted::start(move |_, _| answer("302 Found", &format!("location: {back}\r\n"), ""))
            .await;
    let client = client(&home);
    assert_eq!(body(&client, get(home.url("/first"))).await, Ok((200, "back".to_owned())));
    // A document that the owner put elsewhere, and that is back at home.
    assert_eq!(client.fetch(away.url("/document"), 100).await.unwrap(), "back");
    let is_identified =
        |request: &String| request.contains("tok-123456") || request.contains("blue-team");
    let (at_home, elsewhere) = (home.requests(), away.requests());
    assert_eq!(
        at_home.iter().map(is_identified).collect::<Vec<_>>(),
        [true, true, false],
        "{at_home:?}"
    );
    assert_eq!(elsewhere.iter().map(is_identified).collect::<Vec<_>>(), [false], "{elsewhere:?}");
}

#[tokio::test]
async fn a_slow_operation_keeps_nobody_from_the_others_of_its_service() {
    let server = Scripted::start(|_, request| match request.split(' ').nth(1).unwrap() {
        "/slow" => HELD.to_owned(),
        _ => ok("fine"),
    })
    .await;
    let limit = Duration::from_millis(300);
    let client = client_with(&server.url("/"), HttpAccess { call_timeout: limit, ..access() });
    let slow = || client.send_of("slow", post(server.url("/slow")));
    let fast = async || {
        client.send_of("fast", post(server.url("/fast"))).await.map(|answer| answer.status.as_u16())
    };
    for ended in futures::future::join_all((0..5).map(|_| slow())).await {
        assert_eq!(ended.unwrap_err(), ServiceFailure::Timeout);
    }
    let refused = slow().await.unwrap_err();
    assert!(matches!(refused, ServiceFailure::CircuitOpen { .. }), "{refused}");
    assert_eq!(fast().await, Ok(200));
    // And while the service answers, it is called again.
    let (ended, answered) = tokio::join!(slow(), fast());
    assert_eq!((ended.unwrap_err(), answered), (ServiceFailure::Timeout, Ok(200)));
}

#[tokio::test]
async fn redirects_end_after_five_and_none_takes_a_body_elsewhere() {
    let server = Scripted::start(|_, request| match request.starts_with("POST") {
        true => answer("307 Temporary Redirect", "location: http://127.0.0.1:1/\r\n", ""),
        false => answer("302 Found", "location: /again\r\n", ""),
    })
    .await;
    let client = client(&server);
    let endless = body(&client, get(server.url("/"))).await.unwrap_err();
    assert_eq!(endless, ServiceFailure::Astray("it redirects more than 5 times".to_owned()));
    assert_eq!(server.requests().len(), 6);
    let elsewhere = body(&client, post(server.url("/"))).await.unwrap_err();
    assert!(
        matches!(&elsewhere, ServiceFailure::Astray(why) if why.contains("a `POST` to another \
            origin")),
        "{elsewhere}"
    );
}

#[tokio::test]
async fn what_was_done_before_a_redirect_is_neither_done_again_nor_called_unsent() {
    let server = Scripted::start(|_, request| match request.split(' ').nth(1).unwrap() {
        "/lost" => answer("303 See Other", "location: http://127.0.0.1:1/result\r\n", ""),
        "/expired" => answer("303 See Other", "location: /result\r\n", ""),
        _ => answer("401 Unauthorized", "", ""),
    })
    .await;
    let client = client(&server);
    for (path, got) in [
        ("/lost", "it redirects to `http://127.0.0.1:1`: `127.0.0.1` is a loopback address"),
        ("/expired", "HTTP 401"),
    ] {
        let failed = body(&client, post(server.url(path))).await.unwrap_err();
        assert!(
            matches!(&failed, ServiceFailure::Astray(why) if why.contains(got)),
            "{path}: {failed:?}"
        );
    }
    let posts = server.requests().iter().filter(|request| request.starts_with("POST")).count();
    assert_eq!(posts, 2, "each is sent once");
}

#[tokio::test]
async fn only_what_may_be_repeated_is_tried_again_and_at_most_three_times() {
    let server = Scripted::start(|_, _| answer("503 Service Unavailable", "", "later")).await;
    let client = client(&server);
    assert_eq!(body(&client, post(server.url("/"))).await, Ok((503, "later".to_owned())));
    assert_eq!(server.requests().len(), 1, "a POST is sent once");
    assert_eq!(body(&client, get(server.url("/"))).await, Ok((503, "later".to_owned())));
    assert_eq!(server.requests().len(), 1 + 3);

    let lost =
        Scripted::start(|number, _| if number < 2 { String::new() } else { ok("at last") }).await;
    let client = self::client(&lost);
    assert!(matches!(body(&client, post(lost.url("/"))).await, Err(ServiceFailure::Lost(_))));
    assert_eq!(lost.requests().len(), 1, "a POST is sent once");
    assert_eq!(body(&client, get(lost.url("/"))).await, Ok((200, "at last".to_owned())));
    assert_eq!(lost.requests().len(), 3);
}

#[tokio::test]
async fn a_service_that_asks_for_more_patience_than_there_is_gets_no_second_request() {
    let server =
        Scripted::start(|_, _| answer("429 Too Many Requests", "retry-after: 3600\r\n", "")).await;
    let answered = client(&server).send(get(server.url("/"))).await.unwrap();
    assert_eq!(answered.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answered.headers["retry-after"], "3600");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_large_answer_is_not_read_to_its_end_before_there_is_a_place_for_it() {
    let large = ok(&"x".repeat(LARGE_BYTES + 1));
    let server = Scripted::start(move |_, _| large.clone()).await;
    let response_limits = ResponseLimits::default();
    let mut places = Vec::new();
    for _ in 0..LARGE_MAX {
        places.push(response_limits.memory_permit().await);
    }
    let shared =
        SharedResources { response_limits: response_limits.clone(), ..SharedResources::default() };
    let whole = || ServiceRequest { answer_bytes_max: 2 * LARGE_BYTES, ..post(server.url("/")) };
    let client = |limit| {
        let config = ServiceConfig {
            timeout: limit,
            ..ServiceConfig::new(Arc::from("up"), server.url("/"), access())
        };
        let access = HttpAccess { shared: shared.clone(), ..access() };
        ServiceClient::new(ServiceConfig { access, ..config }, Secrets::default()).unwrap()
    };
    rustls::crypto::ring::default_provider().install_default().ok();
    // Nobody gives a place back, so no time is enough; a short one is waited for.
    let waited = client(Duration::from_millis(500)).send(whole()).await.unwrap_err();
    assert_eq!(waited, ServiceFailure::Timeout);
    places.pop();
    let answer = client(Duration::from_secs(60)).send(whole()).await.unwrap();
    assert!(answer.body.len() == LARGE_BYTES + 1 && answer.permit.is_some());
}

#[tokio::test]
async fn an_upstream_that_stalls_in_large_answers_leaves_places_to_the_others() {
    let whole = "x".repeat(LARGE_BYTES + 1);
    let stalled =
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{whole}{HELD}", 2 * LARGE_BYTES);
    let staller = Scripted::start(move |_, _| stalled.clone()).await;
    let honest = Scripted::start(move |_, _| ok(&whole)).await;
    let response_limits = ResponseLimits::default();
    let client = |server: &Scripted| {
        let shared = SharedResources {
            response_limits: response_limits.of_one(),
            ..SharedResources::default()
        };
        client_with(&server.url("/"), HttpAccess { shared, ..access() })
    };
    let large = |server: &Scripted| ServiceRequest {
        answer_bytes_max: 4 * LARGE_BYTES,
        ..post(server.url("/"))
    };
    let bad = client(&staller);
    let stall = async || bad.send(large(&staller)).await;
    let mut stalls: futures::stream::FuturesUnordered<_> =
        (0..LARGE_MAX).map(|_| stall()).collect();
    let other = client(&honest);
    tokio::select! {
        ended = stalls.next() => panic!("nothing was passed on meanwhile: {ended:?}"),
        answered = async {
            // Each place that it may have is taken.
            while response_limits.free() > LARGE_MAX / 2 {
                tokio::task::yield_now().await;
            }
            other.send(large(&honest)).await
        } => assert_eq!(answered.unwrap().body.len(), LARGE_BYTES + 1),
    }
    // They are given up long before the time of a call is over.
    assert_eq!(stalls.next().await.unwrap().unwrap_err(), ServiceFailure::Silent(10));
}

#[tokio::test]
async fn a_circuit_opens_after_five_failures_and_says_so() {
    let server = Scripted::start(|_, _| String::new()).await;
    let client = client(&server);
    for _ in 0..5 {
        assert!(matches!(body(&client, post(server.url("/"))).await, Err(ServiceFailure::Lost(_))));
    }
    let closed = body(&client, post(server.url("/"))).await.unwrap_err();
    let ServiceFailure::CircuitOpen { retry_after } = closed else { panic!("{closed}") };
    assert!(
        retry_after <= Duration::from_secs(5) && retry_after > Duration::from_secs(3),
        "{retry_after:?}"
    );
    assert_eq!(server.requests().len(), 5, "nothing more was sent");
    let trouble = client.trouble().unwrap();
    assert!(trouble.contains("failed 5 times in a row"), "{trouble}");
}

#[tokio::test]
async fn bodies_are_bounded_streams_are_cut_and_refusals_are_kept_to_their_head() {
    let long = "line of text\n".repeat(10_000);
    let server = Scripted::start(move |_, request| match request.split(' ').nth(1).unwrap() {
        "/chunked" => format!(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: \
            close\r\n\r\n{:x}\r\n{long}\r\n0\r\n\r\n",
            long.len()
        ),
        "/wrong" => answer("404 Not Found", "", &long),
        _ => ok(&long),
    })
    .await;
    let client = client(&server);
    let bounded = |path: &str, until| ServiceRequest {
        answer_bytes_max: 1_000,
        until,
        ..get(server.url(path))
    };
    for path in ["/", "/chunked"] {
        assert_eq!(
            body(&client, bounded(path, Until::End)).await,
            Err(ServiceFailure::TooLarge(1_000))
        );
        let head = client.send(bounded(path, Until::Lines(3))).await.unwrap();
        assert_eq!((head.body.len(), head.truncated), (39, true));
        let head = client.send(bounded(path, Until::Lines(3_000))).await.unwrap();
        assert_eq!((head.body.len(), head.truncated), (1_000, true));
    }
    let wrong = client
        .send(ServiceRequest { answer_bytes_max: 1024 * 1024, ..bounded("/wrong", Until::End) })
        .await
        .unwrap();
    assert_eq!((wrong.status.as_u16(), wrong.body.len(), wrong.truncated), (404, 64 * 1024, true));
}

#[tokio::test]
async fn a_service_that_sends_nothing_or_no_http_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/", silent.local_addr().unwrap())).unwrap();
    let client =
        client_with(&url, HttpAccess { call_timeout: Duration::from_millis(300), ..access() });
    assert_eq!(body(&client, get(url)).await, Err(ServiceFailure::Timeout));
    let noise = Scripted::start(|_, _| "SSH-2.0-OpenSSH_9.9\r\n".to_owned()).await;
    assert!(matches!(
        body(&self::client(&noise), post(noise.url("/"))).await,
        Err(ServiceFailure::Lost(_))
    ));
    let many = (0..200).map(|number| format!("x-{number}: y\r\n")).collect::<String>();
    let wordy = Scripted::start(move |_, _| answer("200 OK", &many, "")).await;
    assert!(matches!(
        body(&self::client(&wordy), post(wordy.url("/"))).await,
        Err(ServiceFailure::Lost(_))
    ));
}

#[tokio::test]
async fn a_refused_credential_is_read_again_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "tok-old-1").unwrap();
    let server = Scripted::start(|_, request| match request.contains("tok-new-2") {
        true => ok("welcome"),
        false => answer("401 Unauthorized", "", ""),
    })
    .await;
    let credential = Credential::Bearer(SecretSource::File(path.clone()));
    let client = client_with(&server.url("/"), HttpAccess { credential, ..access() });
    assert_eq!(body(&client, post(server.url("/"))).await, Ok((401, String::new())));
    assert_eq!(server.requests().len(), 1, "the same one again would be refused again");
    std::fs::write(&path, "tok-new-2").unwrap();
    assert_eq!(body(&client, post(server.url("/"))).await, Ok((200, "welcome".to_owned())));
    assert_eq!(server.requests().len(), 3);
    std::fs::remove_file(&path).unwrap();
    let fresh = client_with(
        &server.url("/"),
        HttpAccess { credential: Credential::Bearer(SecretSource::File(path)), ..access() },
    );
    let missing = body(&fresh, get(server.url("/"))).await.unwrap_err();
    assert!(
        matches!(&missing, ServiceFailure::Credential(why) if why.contains("cannot be read")),
        "{missing}"
    );
    assert_eq!(server.requests().len(), 3, "nothing is sent without it");
}

#[tokio::test]
async fn a_credential_that_is_refused_within_a_success_is_read_again_too() {
    let graphql = |url| ServiceRequest { is_graphql: true, ..post(url) };
    let refusal = r#"{"data":null,"errors":[{"extensions":{"code":"UNAUTHENTICATED"}}]}"#;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "tok-old-1").unwrap();
    let server = Scripted::start(move |_, request| match request.contains("tok-new-2") {
        true => ok("welcome"),
        false => ok(refusal),
    })
    .await;
    let credential = Credential::Bearer(SecretSource::File(path.clone()));
    let client = client_with(&server.url("/"), HttpAccess { credential, ..access() });
    assert_eq!(body(&client, graphql(server.url("/"))).await, Ok((200, refusal.to_owned())));
    assert_eq!(server.requests().len(), 1, "the same one again would be refused again");
    std::fs::write(&path, "tok-new-2").unwrap();
    assert_eq!(body(&client, graphql(server.url("/"))).await, Ok((200, "welcome".to_owned())));
    assert_eq!(server.requests().len(), 3);
    // A request of another kind may have been carried out in part.
    std::fs::write(&path, "tok-old-1").unwrap();
    let credential = Credential::Bearer(SecretSource::File(path));
    let other = client_with(&server.url("/"), HttpAccess { credential, ..access() });
    assert_eq!(body(&other, post(server.url("/"))).await, Ok((200, refusal.to_owned())));
    assert_eq!(server.requests().len(), 4);
}

/// Sends with a token that the service refuses in these words, while there is a fresh one: the
/// status and the body that come, how often it was sent, and the same of the next request.
async fn refused_in(words: &'static str, request: fn(Url) -> ServiceRequest) -> [(bool, usize); 2] {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "tok-old-1").unwrap();
    let server = Scripted::start(move |_, request| match request.contains("tok-new-2") {
        true => ok("welcome"),
        false => ok(words),
    })
    .await;
    let credential = Credential::Bearer(SecretSource::File(path.clone()));
    let client = client_with(&server.url("/"), HttpAccess { credential, ..access() });
    // The old one is known by now, and the file is not looked at for a while.
    client.inner.credentials.request_credential().await.unwrap();
    std::fs::write(&path, "tok-new-2").unwrap();
    let mut got = [(false, 0); 2];
    for got in &mut got {
        let before = server.requests().len();
        let (_, body) = body(&client, request(server.url("/"))).await.unwrap();
        *got = (body == "welcome", server.requests().len() - before);
    }
    got
}

#[tokio::test]
async fn a_token_is_renewed_in_whatever_words_it_is_refused() {
    fn mutation(url: Url) -> ServiceRequest {
        ServiceRequest { is_graphql: true, ..post(url) }
    }
    fn query(url: Url) -> ServiceRequest {
        ServiceRequest { idempotent: true, ..mutation(url) }
    }
    for words in [
        r#"{"errors":[{"extensions":{"code":"invalid-jwt"}}]}"#,
        r#"{"errors":[{"extensions":{"http":{"status":401}}}]}"#,
        r#"{"data":{"me":null},"errors":[{"errorType":"UnauthorizedException"}]}"#,
        r#"{"error":"invalid_token"}"#,
    ] {
        for request in [query, mutation] {
            assert_eq!(refused_in(words, request).await, [(true, 2), (true, 1)], "{words}");
        }
    }
    // What may have been begun is not repeated; the next request has the fresh token.
    for words in [
        r#"{"data":{"me":null},"errors":[{"path":["me"],"extensions":{"code":401}}]}"#,
        r#"{"errors":["Not Authenticated"]}"#,
        r#"{"message":"jwt expired"}"#,
    ] {
        assert_eq!(refused_in(words, query).await, [(true, 2), (true, 1)], "{words}");
        assert_eq!(refused_in(words, mutation).await, [(false, 1), (true, 1)], "{words}");
    }
    // Of another service only what says nothing else.
    for (words, expected) in [
        (r#"{"error":"invalid_token","error_description":"x"}"#, [(true, 2), (true, 1)]),
        (r#"{"ok":false,"error":"token_expired"}"#, [(true, 2), (true, 1)]),
        (r#"{"error":"invalid_token","rows":[]}"#, [(false, 1), (false, 1)]),
        (r#"{"message":"jwt expired"}"#, [(false, 1), (false, 1)]),
    ] {
        assert_eq!(refused_in(words, post).await, expected, "{words}");
    }
}

#[tokio::test]
async fn the_beginning_of_a_secret_at_a_cut_is_taken_away() {
    let server =
        Scripted::start(|_, _| ok(&format!("{}blue-team-secret-1 and more\n", "x".repeat(990))))
            .await;
    let secrets = Secrets::among([("x-team-token", "blue-team-secret-1")]);
    rustls::crypto::ring::default_provider().install_default().ok();
    let client =
        ServiceClient::new(ServiceConfig::new(Arc::from("up"), server.url("/"), access()), secrets)
            .unwrap();
    let request =
        ServiceRequest { answer_bytes_max: 1_000, until: Until::Lines(1), ..get(server.url("/")) };
    assert_eq!(client.send(request).await.unwrap().body.len(), 990);
}
