//! Tests of files: their encoding, their databases, and what their texts expand to.

use super::*;

#[test]
fn each_configuration_file_has_a_database_of_its_own() {
    let (one, other) = (Folder::with(""), Folder::with(""));
    let path = |folder: &Folder, variables: &[(&str, &str)]| {
        folder.load(variables, &[]).unwrap().store.path
    };
    let home = [("HOME", "/home/me")];
    let of_one = path(&one, &home);
    assert_ne!(of_one, path(&other, &home));
    assert_eq!(of_one, path(&one, &home));
    assert!(of_one.starts_with("/home/me/.local/share/airlock/configurations"), "{of_one:?}");
    // The user's own file, and no file, have the database in the data folder itself.
    let users = one.0.path().join("home/.config/airlock");
    fs::create_dir_all(&users).unwrap();
    fs::write(users.join("airlock.toml"), "").unwrap();
    let home = one.0.path().join("home").display().to_string();
    let named = users.join("airlock.toml").display().to_string();
    let variables = [("HOME", home.as_str()), ("AIRLOCK_CONFIG", named.as_str())];
    assert_eq!(path(&one, &variables), Path::new(&home).join(".local/share/airlock/airlock.db"));
    let set = [("HOME", home.as_str()), ("AIRLOCK_STORE_URL", "sqlite:///x/y.db")];
    assert_eq!(path(&other, &set), Path::new("/x/y.db"));
}

#[test]
fn files_as_windows_writes_them_are_read_or_named() {
    let folder = Folder::with("");
    let file = folder.0.path().join("airlock.toml");
    fs::write(&file, "\u{feff}[policy]\r\nprofile = \"strict\"\r\n").unwrap();
    assert_eq!(folder.load(&[], &[]).unwrap().policy.profile, Profile::Strict);
    for utf16 in [&b"\xff\xfe[\0a\0]\0"[..], b"\xfe\xff\0[\0a\0]", b"[\0a\0]\0\n\0"] {
        fs::write(&file, utf16).unwrap();
        let error = folder.load(&[], &[]).unwrap_err();
        assert!(error.contains("it is encoded as UTF-16; save it as UTF-8"), "{error}");
    }
    fs::write(&file, b"# caf\xe9\n").unwrap();
    assert!(folder.load(&[], &[]).unwrap_err().contains("it is not encoded as UTF-8"));
}

#[test]
fn variables_and_the_home_folder_are_expanded_and_never_sent_as_written() {
    let folder = Folder::with(
        r#"
        [upstreams.program]
        command = "~/bin/server"
        cwd = "${ROOT}/work"
        args = ["--root", "${ROOT}/x", "~/y", "a~/z", "$${ROOT}", "--token=${UNSET}",
            "for i in ${X:-1}; do echo ${i} ${ROOT}; done", "${input:key}"]
        env = { KEY = "key-${KEY}", PLAIN = "$${x}" }
        [upstreams.service]
        kind = "openapi"
        spec = "~/api/${NAME}.json"
        base_url = "https://api.example"
        headers = { x-key = "${KEY}", x-plain = "plain" }
        "#,
    );
    let variables = [
        ("HOME", "/home/me"),
        ("ROOT", "/srv/data"),
        ("KEY", "hunter2"),
        ("NAME", "shop"),
        ("API_KEY", "hunter3"),
    ];
    let config = folder.load(&variables, &[]).unwrap();
    let [program, service] = &config.upstreams[..] else { panic!("two upstreams") };
    let Transport::Stdio { command, args, cwd, env, env_secret, .. } = &program.transport else {
        panic!("a program")
    };
    assert_eq!(cwd.as_deref(), Some(std::path::Path::new("/srv/data/work")));
    assert_eq!(command, "/home/me/bin/server");
    let script = "for i in ${X:-1}; do echo ${i} /srv/data; done";
    let expected = [
        "--root",
        "/srv/data/x",
        "/home/me/y",
        "a~/z",
        "${ROOT}",
        "--token=",
        script,
        "${input:key}",
    ];
    assert_eq!(args[..], expected);
    assert_eq!(env["PLAIN"].expose(), "${x}");
    assert_eq!(env_secret["KEY"], SecretSource::Value("key-hunter2".into()));
    let unset: Vec<_> = program.unset.iter().map(|unset| unset.variable.as_str()).collect();
    assert_eq!(unset, ["UNSET"]);
    let Transport::OpenApi { spec, .. } = &service.transport else { panic!("an API") };
    assert_eq!(*spec, Document::File("/home/me/api/shop.json".into()));
    let access = service.access.as_ref().unwrap();
    assert_eq!(access.headers["x-key"].expose(), "hunter2");
    assert!(access.secret_headers.contains("x-key") && !access.secret_headers.contains("x-plain"));
    for (text, problem) in [
        ("command = \"x\"\nargs = [\"Bearer ${API_KEY}\"]", "sounds like a secret"),
        ("command = \"x\"\nenv = { A = \"${input:key}\" }", "contains `${input:key}`"),
        ("url = \"https://x.example/\"\nheaders = { a = \"${a b}\" }", "contains `${a b}`"),
        ("url = \"https://x.example/${KEY}\"", "variables are not expanded in URLs"),
        ("url = \"https://x.example/\"\ncwd = \"/srv\"", "needs an upstream with `command`"),
    ] {
        let error = Folder::with(&format!("[upstreams.x]\n{text}\n")).load(&variables, &[]);
        let error = error.unwrap_err();
        assert!(error.contains(problem), "{text}: {error}");
    }
}

#[test]
fn a_variable_in_the_form_of_another_program_is_refused_with_the_right_one() {
    for (text, problem) in [
        ("url = \"https://x.example/{{KEY}}/x\"", "variables are not expanded in URLs"),
        ("url = \"https://x.example/?key=$KEY\"", "variables are not expanded in URLs"),
        ("command = \"x\"\nenv = { A = \"$KEY\" }", "`upstreams.x.env.A` refers to a variable"),
        ("command = \"x\"\nenv = { A = \"%KEY%\" }", "write `${KEY}`"),
        ("command = \"x\"\nargs = [\"$KEY\"]", "write `${KEY}`"),
        (
            "url = \"https://x.example/\"\nheaders = { a = \"Bearer {{ KEY }}\" }",
            "`upstreams.x.headers.a` refers to a variable in a way that is not expanded here; \
            write `${KEY}`",
        ),
    ] {
        let error = Folder::with(&format!("[upstreams.x]\n{text}\n")).load(&[], &[]);
        let error = error.unwrap_err();
        assert!(error.contains(problem), "{text}: {error}");
    }
}

#[test]
fn an_account_lacks_what_its_upstream_lacks() {
    let folder = Folder::with(
        r#"
        [upstreams.shop]
        kind = "openapi"
        spec = "${SPECS}/api.json"
        base_url = "https://shop.example"
        auth = { bearer = { env = "OWN" } }
        accounts = { other = { auth = { bearer = { env = "OTHER" } } } }
        "#,
    );
    let config = folder.load(&[], &[]).unwrap();
    let unset = |name: &str| -> Vec<String> {
        let upstream = config.upstreams.iter().find(|upstream| upstream.name == name).unwrap();
        upstream.unset.iter().map(|unset| unset.variable.clone()).collect()
    };
    assert_eq!(unset("shop"), ["SPECS", "OWN"]);
    assert_eq!(unset("shop-other"), ["SPECS", "OTHER"]);
}

#[test]
fn dollars_before_a_brace_can_be_written() {
    let variables = [("KEY", "hunter2")];
    for (written, value) in [
        ("$${KEY}", "${KEY}"),
        ("5$$${KEY}", "5$hunter2"),
        ("$$$${KEY}", "$${KEY}"),
        ("$$ $x $${open", "$$ $x ${open"),
        ("${KEY}$$${KEY}", "hunter2$hunter2"),
    ] {
        let folder = Folder::with(&format!(
            "[upstreams.x]\nurl = \"https://x.example/\"\nheaders = {{ a = \"{written}\" }}\n"
        ));
        let config = folder.load(&variables, &[]).unwrap();
        let access = config.upstreams[0].access.as_ref().unwrap();
        assert_eq!(access.headers["a"].expose(), value, "{written}");
        let is_secret = value.contains("hunter2");
        assert_eq!(access.secret_headers.contains("a"), is_secret, "{written}");
    }
}
