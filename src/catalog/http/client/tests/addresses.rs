//! Addresses that a request may and may not go to.

use super::*;

#[tokio::test]
async fn what_is_allowed_to_be_private_does_not_lead_to_its_neighbours() {
    let neighbour = Scripted::start(|_, _| ok("the neighbour's secrets")).await;
    let port = neighbour.address.port();
    let server = Scripted::start(move |_, request| {
        let host = request.split(' ').nth(1).unwrap().trim_start_matches('/').to_owned();
        answer("302 Found", &format!("location: http://{host}:{port}/\r\n"), "")
    })
    .await;
    let at = |path: &str| {
        Url::parse(&format!("http://localhost:{}{path}", server.address.port())).unwrap()
    };
    let client = client_with(&at("/"), access());
    // By number, by the very name that is allowed, and by one that merely leads there.
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let failed = body(&client, get(at(&format!("/{host}")))).await.unwrap_err();
        let trust = |why: &str| {
            why.contains("loopback address; `allow_private` of the upstream holds for the origin")
        };
        assert!(matches!(&failed, ServiceFailure::Astray(why) if trust(why)), "{host}: {failed:?}");
        let failed = client.fetch(at(&format!("/{host}")), 100).await.unwrap_err();
        assert!(matches!(&failed, ServiceFailure::Astray(why) if trust(why)), "{host}: {failed:?}");
    }
    assert!(neighbour.requests().is_empty());
    assert!(!server.requests().is_empty());
}

#[tokio::test]
async fn a_private_address_is_refused_by_number_and_by_name_until_it_is_allowed() {
    let server = Scripted::start(|_, _| ok("inside")).await;
    let closed = HttpAccess { allow_private: false, ..access() };
    let new = |url: &str| {
        ServiceClient::new(
            ServiceConfig::new(Arc::from("up"), Url::parse(url).unwrap(), closed.clone()),
            Secrets::default(),
        )
    };
    let port = server.address.port();
    for literal in ["127.0.0.1", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "[::1]"] {
        let error = new(&format!("http://{literal}:{port}/")).unwrap_err();
        assert!(
            error.message.contains("a loopback address; set `allow_private = true`"),
            "{literal}: {error}"
        );
    }
    let by_name = Url::parse(&format!("http://localhost:{port}/")).unwrap();
    let refused = body(&client_with(&by_name, closed), get(by_name.clone())).await.unwrap_err();
    assert!(
        matches!(
            &refused,
            ServiceFailure::Refused(why) if why.contains("`localhost` is at") && why.contains("loopback")
        ),
        "{refused}"
    );
    assert!(server.requests().is_empty());
    assert_eq!(
        body(&client_with(&by_name, access()), get(by_name)).await,
        Ok((200, "inside".to_owned()))
    );
    for never in ["169.254.169.254", "[fd00:ec2::254]", "[::ffff:169.254.169.254]", "0.0.0.0"] {
        let url = Url::parse(&format!("http://{never}/latest/meta-data")).unwrap();
        let error = ServiceClient::new(
            ServiceConfig::new(Arc::from("up"), url, access()),
            Secrets::default(),
        )
        .unwrap_err();
        assert!(error.message.contains("never connects"), "{never}: {error}");
    }
}

#[tokio::test]
async fn this_server_itself_is_never_reached() {
    let server = Scripted::start(|_, _| ok("inside")).await;
    let shared = SharedResources { own: vec![server.address], ..SharedResources::default() };
    let access = HttpAccess { shared, ..access() };
    let error = ServiceClient::new(
        ServiceConfig::new(Arc::from("up"), server.url("/"), access.clone()),
        Secrets::default(),
    );
    assert!(error.unwrap_err().message.contains("this server itself"));
    let by_name = Url::parse(&format!("http://localhost:{}/", server.address.port())).unwrap();
    let refused = body(&client_with(&by_name, access), get(by_name)).await.unwrap_err();
    assert!(
        matches!(&refused, ServiceFailure::Refused(why) if why.contains("this server itself")),
        "{refused}"
    );
    assert!(server.requests().is_empty());
}

#[test]
fn this_server_itself_is_known_by_every_form_of_its_address() {
    let address_policy = |own: &str| {
        let shared =
            SharedResources { own: vec![own.parse().unwrap()], ..SharedResources::default() };
        HttpAccess { shared, ..access() }.address_policy()
    };
    let check = |own: &str, url: String| address_policy(own).check(&Url::parse(&url).unwrap());
    let refused = |own: &str, url: String| {
        check(own, url).is_err_and(|why| why.contains("this server itself"))
    };
    assert!(refused("10.1.2.3:7411", "http://[::ffff:10.1.2.3]:7411/".into()));
    assert!(refused("[::ffff:10.1.2.3]:7411", "http://10.1.2.3:7411/".into()));
    // One that listens everywhere is at each address of its machine, and nowhere else.
    let probe = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    for own in ["0.0.0.0:7411", "[::]:7411"] {
        assert!(refused(own, "http://127.0.0.2:7411/".into()), "{own}");
        assert_eq!(check(own, "http://203.0.114.1:7411/".into()), Ok(()), "{own}");
        // Sends nothing: only asks which address of this machine would be the sender's.
        if let Ok(here) = probe.connect("1.1.1.1:53").and_then(|()| probe.local_addr()) {
            assert!(refused(own, format!("http://{}:7411/", here.ip())), "{own}: {here}");
            assert!(!refused(own, format!("http://{}:7412/", here.ip())), "{own}: {here}");
        }
    }
}

/// Answers each question with the next of its answers, and the last one for ever.
struct Turning(Mutex<Vec<Vec<IpAddr>>>);

impl Resolver for Turning {
    fn resolve(&self, _: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        let mut answers = self.0.lock();
        let answer = if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() };
        Box::pin(std::future::ready(Ok(answer)))
    }
}

#[tokio::test]
async fn a_name_that_turns_to_another_address_leads_nowhere() {
    let server = Scripted::start(|_, _| ok("inside")).await;
    let (public, inside) =
        (IpAddr::V6(Ipv6Addr::new(0x2a00, 0, 0, 0, 0, 0, 0, 1)), server.address.ip());
    let metadata = "169.254.169.254".parse().unwrap();
    let url = Url::parse(&format!("http://turning.example:{}/", server.address.port())).unwrap();
    // What a check beforehand would have seen, and what the connection would then have been made
    // to.
    for (answers, allow_private) in [
        (vec![vec![inside]], false),
        (vec![vec![public], vec![inside]], false),
        (vec![vec![metadata, inside], vec![metadata]], true),
    ] {
        let resolver = Arc::new(Turning(Mutex::new(answers)));
        let shared = SharedResources { resolver, ..SharedResources::default() };
        let timeout = Duration::from_secs(3);
        let client = client_with(
            &url,
            HttpAccess { allow_private, call_timeout: timeout, shared, ..access() },
        );
        let before = server.requests().len();
        let mut outcomes = Vec::new();
        for _ in 0..2 {
            outcomes.push(body(&client, post(url.clone())).await);
        }
        assert!(
            matches!(
                &outcomes[1],
                Err(ServiceFailure::Refused(why)) if why.contains("`turning.example` is at")
            ),
            "{outcomes:?}"
        );
        let reached = server.requests().len() - before;
        // Of several addresses only those that are allowed are used.
        assert_eq!(reached, usize::from(allow_private), "{outcomes:?}");
    }
}
