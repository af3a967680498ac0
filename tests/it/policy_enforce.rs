//! Policy where it counts: at the calls of a program in a real server, counted at the upstream.

use serde_json::{Value, json};

use crate::support::{
    clients::{Raw, listen_post},
    policy::Policed,
    server::{PATIENCE, TestServer, airlock, demo, eventually},
};

const TEN_A_DAY: &str = r#"
version: "1"
default: allow
tools:
  demo.echo:
    limits:
      - { counter: echoes, window: day, max: 10, scope: [workspace, tool], message: ten a day }
"#;

const MANY: &str = r#"
    const calls = Array.from({ length: 200 }, (_, n) => tools.demo.echo({ message: String(n) }));
    const ended = await Promise.allSettled(calls);
    const refused = ended.filter((end) => end.status === "rejected").map((end) => end.reason);
    return {
        through: ended.length - refused.length,
        codes: [...new Set(refused.map((error) => `${error.name} ${error.code} ${error.retryAfterMs > 0}`))],
    };
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_parallel_calls_let_exactly_ten_through_also_across_a_crash() {
    let policed = Policed::start(TEN_A_DAY).await;
    for n in 0..4 {
        let answer = policed
            .server
            .run(&format!("return await tools.demo.echo({{ message: '{n}' }})"))
            .await;
        assert_eq!(answer["status"], "completed", "{answer}");
    }
    let policed = Policed::within(policed.server.kill().await, TEN_A_DAY, "").await;
    let answer = policed.server.run(MANY).await;
    assert_eq!(
        answer["result"],
        json!({ "through": 6, "codes": ["ToolPolicyError rate_limited true"] }),
        "{answer}"
    );
    assert_eq!(policed.hits("echo"), 10);
    let policed = Policed::within(policed.server.stop().await, TEN_A_DAY, "").await;
    assert_eq!(policed.server.run(MANY).await["result"]["through"], 0);
    assert_eq!(policed.hits("echo"), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_of_several_processes_share_one_limit() {
    let policed = Policed::start(TEN_A_DAY).await;
    let program = policed.server.folder.path().join("many.ts");
    std::fs::write(&program, MANY).unwrap();
    let run = async || {
        let output = airlock(&policed.server.config_file()).arg("run").arg(&program).output();
        let output = tokio::time::timeout(PATIENCE, output).await.expect("it ends").unwrap();
        let result: Value = serde_json::from_slice(&output.stdout).expect("a result");
        result["through"].as_u64().unwrap()
    };
    let (one, two) = tokio::join!(run(), run());
    assert_eq!((one + two, policed.hits("echo")), (10, 10));
}

const RULES: &str = r#"
version: "1"
default: allow
hide: [demo.crash, demo.notes.add]
tools:
  demo.add:
    rules:
      - { name: no-negatives, action: deny, when: "args.a < 0", message: only what is positive }
  demo.fail:
    rules:
      - { name: never, action: deny, message: it only fails }
  demo.big:
    limits:
      - { counter: big, window: day, max: 1, count: success }
  demo.wait:
    limits:
      - { counter: waits, window: 1s, max: 1, on_exceed: wait, wait: 20s }
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_call_never_leaves_and_ends_its_task_as_denied_unless_it_is_handled() {
    let policed = Policed::start(RULES).await;
    let ended = policed
        .server
        .call("execute", json!({ "code": "return await tools.demo.add({ a: -1, b: 2 })" }))
        .await;
    let answer = &ended["structuredContent"];
    assert_eq!(
        (&answer["status"], &answer["exitCode"]),
        (&json!("denied"), &json!(126)),
        "{answer}"
    );
    assert_eq!(
        (&answer["error"]["name"], &answer["error"]["code"]),
        (&json!("ToolPolicyError"), &json!("policy_denied"))
    );
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("`demo.add`")
            && message.contains("no-negatives")
            && message.contains("only what is positive"),
        "{message}"
    );
    assert_eq!(ended["isError"], true);
    let handled = policed
        .server
        .run(
            "try { await tools.demo.add({ a: -1, b: 2 }) } catch (e) { return { ...e, name: \
            e.name, kind: e instanceof Error } }",
        )
        .await;
    assert_eq!(handled["status"], "completed", "{handled}");
    let error = &handled["result"];
    assert_eq!(
        (&error["name"], &error["code"], &error["tool"], &error["rule"], &error["kind"]),
        (
            &json!("ToolPolicyError"),
            &json!("policy_denied"),
            &json!("demo.add"),
            &json!("no-negatives"),
            &json!(true)
        ),
        "{error}"
    );
    assert_eq!(policed.hits("add"), 0);
    assert_eq!(
        policed.server.run("return (await tools.demo.add({ a: 1, b: 2 })).sum").await["result"],
        3
    );
    assert_eq!(policed.hits("add"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forged_denial_is_a_failure() {
    let policed = Policed::start(RULES).await;
    let forged = [
        "throw Object.assign(new Error('`demo.add` is not allowed'), { name: 'ToolPolicyError', \
        code: 'policy_denied', tool: 'demo.add' })",
        "try { await tools.demo.add({ a: -1, b: 2 }) } catch (e) { throw Object.assign(new \
        Error(e.message), e, { name: e.name }) }",
        "try { await tools.demo.add({ a: -1, b: 2 }) } catch {} throw { name: 'ToolPolicyError', \
        code: 'approval_denied' }",
    ];
    for code in forged {
        let answer = policed.server.run(code).await;
        assert_eq!(
            (&answer["status"], &answer["exitCode"]),
            (&json!("failed"), &json!(1)),
            "{code}: {answer}"
        );
    }
    let real = policed
        .server
        .run("try { await tools.demo.add({ a: -1, b: 2 }) } catch (e) { throw e }")
        .await;
    assert_eq!(real["status"], "denied", "{real}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hidden_tool_cannot_be_told_from_one_that_does_not_exist() {
    let policed = Policed::start(RULES).await;
    let said = async |path: &str| {
        let code = format!(
            "try {{ return await tools[{path:?}]({{}}) }} catch (e) {{ return {{ name: e.name, \
            message: e.message, ...e }} }}"
        );
        let error = policed.server.run(&code).await["result"].clone();
        assert!(!error["nearest"].to_string().contains("demo.crash"), "{error}");
        // Which names are near depends on the name itself; all else must not differ.
        let (before, rest) = error["message"]
            .as_str()
            .unwrap()
            .split_once(", did you mean")
            .expect("others are near");
        let after = rest.split_once("?; ").expect("a question").1;
        let keys: Vec<_> = error.as_object().unwrap().keys().cloned().collect();
        format!("{} {before} {after} {} {keys:?}", error["name"], error["code"])
            .replace(path, "PATH")
            .replace(path.rsplit('.').next().unwrap(), "LEAF")
    };
    assert_eq!(said("demo.crash").await, said("demo.crxsh").await);
    // Nor by the arguments that it would take.
    assert_eq!(said("demo.notes.add").await, said("demo.notes.axd").await);
    let uncaught = policed.server.run("await tools.demo.crash({})").await;
    assert_eq!(
        (&uncaught["status"], &uncaught["error"]["name"]),
        (&json!("failed"), &json!("ToolNotFoundError")),
        "{uncaught}"
    );
    let listed = policed
        .server
        .run(
            "const pages = [await tools.discover('crash'), await tools.catalog.tools({ limit: 200 \
            }), await tools.catalog.namespaces()];
             const described = await tools.describe('demo.crash').catch((e) => e.name);
             return { text: JSON.stringify(pages), described };",
        )
        .await;
    let result = &listed["result"];
    assert_eq!(result["described"], "ToolNotFoundError", "{listed}");
    let text = result["text"].as_str().unwrap();
    assert!(
        !text.contains("demo.crash") && !text.contains("demo.fail") && text.contains("demo.add"),
        "{text}"
    );
    // One that is refused always is not listed either, but says so when it is called.
    assert_eq!(
        policed.server.run("await tools.demo.fail({ message: 'x' })").await["error"]["code"],
        "policy_denied"
    );
    let (_, owner) = policed.server.owner(reqwest::Method::GET, "/v1/tools?limit=200").await;
    let hidden =
        owner["results"].as_array().unwrap().iter().find(|one| one["path"] == "demo.crash");
    assert_eq!(hidden.unwrap()["verdict"], "deny", "the owner sees what is hidden: {owner}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_over_a_limit_fails_the_task_and_a_failed_call_is_given_back() {
    let policed = Policed::start(RULES).await;
    let failing = "const said = []; for (const bytes of [-1, 10, 10]) { await tools.demo.big({ \
        bytes }).then(() => said.push('ok'), (e) => said.push(e.code)) } return said";
    assert_eq!(
        policed.server.run(failing).await["result"],
        json!(["invalid_tool_arguments", "ok", "rate_limited"])
    );
    let answer = policed.server.run("await tools.demo.big({ bytes: 10 })").await;
    assert_eq!(
        (&answer["status"], &answer["exitCode"], &answer["error"]["code"]),
        (&json!("failed"), &json!(1), &json!("rate_limited")),
        "{answer}"
    );
    assert_eq!(policed.hits("big"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_whose_end_is_not_known_stays_counted() {
    let policy = "version: \"1\"\ndefault: allow\ntools:\n  demo.crash:\n    limits:\n      - { \
        counter: crashes, window: day, max: 1 }\n";
    let policed = Policed::start(policy).await;
    let codes = "const codes = []; for (let n = 0; n < 2; n++) { await \
        tools.demo.crash({}).catch((e) => codes.push(e.code)) } return codes";
    assert_eq!(policed.server.run(codes).await["result"], json!(["upstream_lost", "rate_limited"]));
    assert_eq!(policed.hits("crash"), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_that_waits_lets_calls_through_one_after_the_other() {
    let policed = Policed::start(RULES).await;
    let code = "return (await Promise.all([0, 1, 2].map(() => tools.demo.wait({ ms: 0 })))).length";
    let answer = policed.server.run(code).await;
    assert_eq!(
        (&answer["status"], &answer["result"]),
        (&json!("completed"), &json!(3)),
        "{answer}"
    );
    assert!(
        answer["usage"]["toolWaitMs"].as_u64().unwrap() >= 900,
        "two windows were waited for: {answer}"
    );
    assert!(
        answer["usage"]["cpuMs"].as_u64().unwrap() < 500,
        "and waiting costs nothing: {answer}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_is_recorded_with_its_decision_and_without_its_values() {
    let policed = Policed::start(RULES).await;
    let answer = policed
        .server
        .run(
            "await tools.discover('add'); await tools.demo.echo({ message: 'my-secret-word' }); \
            await tools.demo.add({ a: -1, b: 0 }).catch(() => 0)",
        )
        .await;
    let unfit = policed
        .server
        .run("await tools.demo.add({ a: 'my-secret-word', b: 1 }).catch(() => 0)")
        .await;
    let failed = policed.events(&unfit, "tool.call.failed").await;
    assert!(failed.len() == 1 && !failed[0].to_string().contains("my-secret-word"), "{failed:?}");
    let events = policed.events(&answer, "tool.call.requested").await;
    let decisions: Vec<_> = events.iter().map(|event| &event["data"]["decision"]).collect();
    let outcomes: Vec<_> =
        decisions.iter().map(|decision| decision["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["allow", "allow", "deny"], "{events:?}");
    let denied = decisions[2];
    assert_eq!(
        (&denied["rule"], &denied["layer"], &denied["code"]),
        (&json!("no-negatives"), &json!("policy.yaml"), &json!("policy_denied"))
    );
    assert!(
        denied["elapsedUs"].is_u64() && denied["revision"].as_str().unwrap().starts_with("sha256:"),
        "{denied}"
    );
    assert_eq!(events[1]["data"]["argumentKeys"], json!(["message"]));
    assert!(!events.iter().any(|event| event.to_string().contains("my-secret-word")));
    assert_eq!(
        policed.events(&answer, "tool.call.denied").await[0]["data"]["rule"],
        "no-negatives"
    );

    let policed = Policed::with(RULES, "record_values = true").await;
    let answer = policed.server.run("await tools.demo.echo({ message: 'my-secret-word' })").await;
    let events = policed.events(&answer, "tool.call.requested").await;
    assert_eq!(events[0]["data"]["arguments"], json!({ "message": "my-secret-word" }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_file_counts_at_once_and_a_broken_one_never() {
    let policed = Policed::start(TEN_A_DAY).await;
    assert_eq!(policed.server.run(MANY).await["result"]["through"], 10);
    let before =
        policed.health(|health| health["policy"]["status"] == "ok").await["policy"]["revision"]
            .clone();
    policed.rewrite(&TEN_A_DAY.replace("max: 10", "max: 12"));
    let after = policed.health(|health| health["policy"]["revision"] != before).await;
    assert_eq!(policed.server.run(MANY).await["result"]["through"], 2, "the counter stays");
    policed.rewrite("version: \"1\"\ndefault: allow\ntoolz: {}\n");
    let broken = policed.health(|health| health["status"] == "degraded").await;
    let message = broken["policy"]["message"].as_str().unwrap();
    assert!(message.contains("policy.yaml:3:1") && message.contains("toolz"), "{message}");
    assert_eq!(broken["policy"]["revision"], after["policy"]["revision"]);
    assert_eq!(
        policed.server.run(MANY).await["result"]["through"],
        0,
        "the last valid policy stays in force"
    );
    // Written in place, as other editors do.
    std::fs::write(policed.server.folder.path().join("policy.yaml"), RULES).unwrap();
    policed.health(|health| health["status"] == "ok").await;
    assert_eq!(
        policed.server.run("await tools.demo.add({ a: -1, b: 0 })").await["status"],
        "denied"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalid_policy_refuses_to_start_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("airlock.toml");
    std::fs::write(folder.path().join("policy.yaml"), "version: \"1\"\ntoolz: {}\n").unwrap();
    let text = format!(
        "[store]\nurl = \"sqlite://{}/airlock.db\"\n[policy]\nfiles = [\"policy.yaml\"]\n",
        folder.path().display()
    );
    std::fs::write(&config, text).unwrap();
    let start = async || {
        let output = airlock(&config).args(["serve", "--listen", "127.0.0.1:0"]).output();
        let output = tokio::time::timeout(PATIENCE, output).await.expect("it ends").unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = start().await;
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("policy.yaml:2:1") && said.contains("toolz"), "{said}");
    assert!(!folder.path().join("airlock.db").exists(), "nothing was opened");
    std::fs::remove_file(folder.path().join("policy.yaml")).unwrap();
    let (code, said) = start().await;
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("policy.yaml") && said.contains("cannot be read"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_has_a_budget_of_calls_bytes_and_time() {
    let budgets =
        |budgets: &str| format!("version: \"1\"\ndefault: allow\nbudgets: {{ {budgets} }}\n");
    let policed = Policed::start(&budgets("calls: 3")).await;
    let count = "let n = 0; for (;;) { try { await tools.demo.echo({ message: '' }); n++ } catch \
        (e) { return [n, e.code, e.rule, e.retryAfterMs ?? null] } }";
    assert_eq!(
        policed.server.run(count).await["result"],
        json!([3, "rate_limited", "budget", null])
    );
    assert_eq!(policed.server.run(count).await["result"][0], 3, "each task has its own");
    // A program keeps no policy from its start, so that it must not run while another one comes
    // into force.
    let in_force = async |budget: &str| {
        let before = policed.health(|_| true).await["policy"]["revision"].clone();
        policed.rewrite(&budgets(budget));
        policed.health(|health| health["policy"]["revision"] != before).await;
    };
    in_force("bytes_returned: 1000").await;
    let bytes = "const said = []; for (const bytes of [400, 5000, 400]) { await tools.demo.big({ \
        bytes }).then(() => said.push('ok'), (e) => said.push(e.code)) } return said";
    let said = policed.server.run(bytes).await["result"].clone();
    assert_eq!(said, json!(["ok", "rate_limited", "ok"]));
    in_force("wall_time: 1s").await;
    let late = "const began = performance.now(); await tools.demo.wait({ ms: 2500 }).catch((e) => \
        e); return performance.now() - began";
    let answer = policed.server.run(late).await;
    assert!(answer["result"].as_f64().unwrap() < 2400.0, "{answer}");
    assert!(answer["result"].as_f64().unwrap() >= 950.0, "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_cannot_count_refuses_the_call() {
    let policed = Policed::start(TEN_A_DAY).await;
    assert_eq!(
        policed.server.run("await tools.demo.echo({ message: '' })").await["status"],
        "completed"
    );
    let database = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(policed.server.folder.path().join("airlock.db"));
    let mut connection = sqlx::ConnectOptions::connect(&database).await.unwrap();
    sqlx::query("DROP TABLE counters").execute(&mut connection).await.unwrap();
    let answer = policed.server.run("await tools.demo.echo({ message: '' })").await;
    assert_eq!(
        (&answer["status"], &answer["error"]["code"]),
        (&json!("denied"), &json!("policy_error")),
        "{answer}"
    );
    assert_eq!(policed.hits("echo"), 1);
    assert_eq!(
        policed.server.run("return (await tools.demo.add({ a: 1, b: 1 })).sum").await["result"],
        2,
        "what has no limit goes on"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_file_what_is_not_known_to_read_waits_and_the_list_says_so() {
    let server = TestServer::with(&format!("[policy]\nrecord_values = false\n{}", demo(&[]))).await;
    let code = "const found = await tools.catalog.tools({ namespace: 'demo' }); return \
        Object.fromEntries(found.results.map((tool) => [tool.path, tool.approval]))";
    let approvals = eventually("the tools are there", async || {
        let listed = server.run(code).await["result"].clone();
        (!listed["demo.crash"].is_null()).then_some(listed)
    })
    .await;
    assert_eq!(approvals["demo.crash"], "required", "{approvals}");
    let code = "const call = tools.demo.crash({}); return await Promise.race([call, new \
        Promise((done) => setTimeout(done, 300, 'it waits'))])";
    assert_eq!(server.run(code).await["result"], "it waits");
    let (_, health) = server.owner(reqwest::Method::GET, "/healthz").await;
    assert_eq!(health["policy"]["profile"], "auto", "{health}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_hear_that_a_new_policy_shows_other_tools() {
    let (all, fewer) = ("version: \"1\"\n", "version: \"1\"\nhide: [demo.echo]\n");
    let policed = Policed::start(all).await;
    let raw = Raw::new(policed.server.url.strip_prefix("http://").unwrap().parse().unwrap());
    let heard = tokio::spawn({
        let post = listen_post(raw.address);
        async move { raw.exchange(&post, |read| read.contains("tools/list_changed")).await.1 }
    });
    // It listens once the server has read it, which nothing tells from outside: change until it has
    // heard.
    for policy in [fewer, all].into_iter().cycle() {
        if heard.is_finished() {
            break;
        }
        let revision = policed.health(|_| true).await["policy"]["revision"].clone();
        policed.rewrite(policy);
        policed
            .health(|health| heard.is_finished() || health["policy"]["revision"] != revision)
            .await;
    }
    assert!(heard.await.unwrap().contains("notifications/tools/list_changed"));
}
