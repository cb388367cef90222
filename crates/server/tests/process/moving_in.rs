//! Files and directories of other systems, made by the real programs: what people had there goes
//! on working here, becomes our own hash with its first use, and stands nowhere in clear.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::harness::{PATIENCE, await_true};
use crate::slapd::{ADMIN, PASSWORD, PEOPLE, Setup, Slapd};
use crate::wire::below_main;
use crate::world::{UNTHROTTLED, World};

/// What everybody chose.
const SECRET: &str = "correct horse battery";
/// Rounds and costs that are quick to try out.
const SALT: &str = "saltsaltsalt";

/// What a program prints.
fn printed(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect(program);
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A password file as `htpasswd` keeps it, with lines of `openssl passwd` and `mkpasswd` in it.
/// The people whose secrets are taken over come first.
fn password_file(file: &Path) -> [&'static str; 9] {
    let path = file.to_str().unwrap();
    for (name, options) in [
        ("bcrypt", "-bB -C 5"),
        ("md5", "-bm"),
        ("sha", "-bs"),
        ("sha256", "-b2"),
        ("sha512", "-b5"),
    ] {
        let mut arguments = if file.exists() { Vec::new() } else { vec!["-c"] };
        arguments.extend(options.split(' '));
        arguments.extend([path, name, SECRET]);
        let output = Command::new("htpasswd").args(&arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let mut text = std::fs::read_to_string(file).unwrap();
    for (name, program, arguments) in [
        ("openssl-1", "openssl", &["passwd", "-1", "-salt", "salt", SECRET][..]),
        ("openssl-6", "openssl", &["passwd", "-6", "-salt", "abc", SECRET]),
        ("mkpasswd-5", "mkpasswd", &["-m", "sha-256", "-R", "1500", "-S", SALT, SECRET]),
        ("mkpasswd-2b", "mkpasswd", &["-m", "bcrypt", "-R", "5", SECRET]),
    ] {
        writeln!(text, "{name}:{}", printed(program, arguments)).unwrap();
    }
    std::fs::write(file, text).unwrap();
    [
        "bcrypt",
        "md5",
        "sha",
        "sha256",
        "sha512",
        "openssl-1",
        "openssl-6",
        "mkpasswd-5",
        "mkpasswd-2b",
    ]
}

/// Appends what is not taken over: DES, yescrypt, clear text.
fn spoil(file: &Path) {
    let mut text = std::fs::read_to_string(file).unwrap();
    writeln!(text, "des:{}", printed("mkpasswd", &["-m", "descrypt", SECRET])).unwrap();
    writeln!(text, "yes:{}", printed("mkpasswd", &["-m", "yescrypt", SECRET])).unwrap();
    text.push_str(&printed("htpasswd", &["-nbp", "clear", "stands in clear"]));
    std::fs::write(file, text).unwrap();
}

fn import(world: &World, arguments: &[&str]) -> Output {
    let mut all = vec!["import"];
    all.extend_from_slice(arguments);
    all.push("--json");
    let output = world.site.run(&all);
    for text in [&output.stdout, &output.stderr] {
        let text = String::from_utf8_lossy(text);
        assert!(!text.contains(SECRET) && !text.contains("stands in clear"), "{text}");
    }
    output
}

/// The report of an import that succeeds.
#[track_caller]
fn imported(world: &World, arguments: &[&str]) -> Value {
    let output = import(world, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn counted(report: &Value) -> [u64; 4] {
    let tokens = &report["tables"]["tokens"];
    ["rows", "new", "kept", "left_out"].map(|field| tokens[field].as_u64().unwrap())
}

fn ask(world: &World, user: Option<&str>, service: &str, secret: &str) -> Value {
    let mut question = json!({ "token": secret, "service": service });
    if let Some(user) = user {
        question["username"] = user.into();
    }
    world.admin.post("/verify", &question).expect(200)
}

/// Leaves the service nothing but our own hash to compare with.
fn compare_with_ours_alone(world: &World, service: &str) {
    let edit = json!({ "token_policy": { "imported_schemes": ["own"] } });
    world.admin.patch(&format!("/services/{service}"), &edit).expect(200);
}

/// Asks until what was hashed beside the first answers is stored, and nothing else is compared.
fn upgraded(world: &World, service: &str, people: &[&str]) {
    // Each use that finds the hash of another system hashes it anew.
    let schemes = world.admin.get(&format!("/services/{service}")).expect(200);
    let schemes = schemes["token_policy"]["imported_schemes"].clone();
    await_true("every secret is hashed as ours", PATIENCE, || {
        compare_with_ours_alone(world, service);
        let good =
            people.iter().all(|one| ask(world, Some(one), service, SECRET)["active"] == true);
        if !good {
            let back = json!({ "token_policy": { "imported_schemes": schemes } });
            world.admin.patch(&format!("/services/{service}"), &back).expect(200);
            for one in people {
                assert_eq!(ask(world, Some(one), service, SECRET)["active"], true, "{one}");
            }
        }
        good
    });
}

/// Neither a file of the installation nor an answer of the API holds one of these.
fn nowhere(world: &World, secrets: &[&str]) {
    let mut places: Vec<(String, Vec<u8>)> = world
        .site
        .files()
        .into_iter()
        .map(|(path, bytes)| (path.display().to_string(), bytes))
        .collect();
    for path in ["/events?limit=1000", "/tokens?limit=1000", "/users?limit=1000"] {
        places.push((below_main(path), world.admin.get(path).body));
    }
    for secret in secrets {
        for (place, bytes) in &places {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{place} holds {secret}");
        }
    }
}

#[test]
fn a_password_file_of_the_real_programs_goes_on_working_and_becomes_our_own() {
    let elsewhere = tempfile::tempdir().unwrap();
    for world in World::on_each_store(UNTHROTTLED) {
        let file = elsewhere.path().join(format!("passwords-{}", file_number()));
        let people = password_file(&file);
        let path = file.to_str().unwrap();
        let arguments = ["htpasswd", path, "--service", "intranet"];
        let tried = imported(&world, &[&arguments[..], &["--dry-run"]].concat());
        assert_eq!(counted(&tried), [9, 9, 0, 0], "{tried}");
        assert_eq!(world.admin.get("/services/intranet").status, 404, "a dry run changes nothing");
        assert_eq!(counted(&imported(&world, &arguments)), [9, 9, 0, 0]);
        for one in people {
            let said = ask(&world, Some(one), "intranet", SECRET);
            assert_eq!((&said["active"], &said["username"]), (&json!(true), &json!(one)), "{said}");
            let wrong = ask(&world, Some(one), "intranet", "correct horse batterz");
            assert_eq!(wrong, json!({ "active": false, "code": "unknown" }));
            assert_eq!(ask(&world, Some(one), "git", SECRET)["active"], false);
        }
        assert_eq!(counted(&imported(&world, &arguments)), [9, 0, 9, 0], "a second run");
        upgraded(&world, "intranet", &people);

        // A file with a line that cannot be taken over changes nothing, unless that is asked for.
        spoil(&file);
        let arguments = ["htpasswd", path, "--service", "extranet"];
        let refused = import(&world, &arguments);
        assert_eq!(refused.status.code(), Some(1));
        let report: Value = serde_json::from_slice(&refused.stdout).unwrap();
        let why: Vec<&str> = report["left_out"]
            .as_array()
            .unwrap()
            .iter()
            .map(|n| n["why"].as_str().unwrap())
            .collect();
        let expected = ["first crypt (DES)", "yescrypt", "say --plain"];
        assert!(why.iter().zip(expected).all(|(why, part)| why.contains(part)), "{why:?}");
        assert_eq!(report["left_out"][0]["place"], format!("{path}:10"));
        assert_eq!(world.admin.get("/services/extranet").status, 404, "nothing was half done");
        let partial = imported(&world, &[&arguments[..], &["--partial"]].concat());
        assert_eq!(counted(&partial), [12, 9, 0, 3]);
        let plain = imported(&world, &[&arguments[..], &["--partial", "--plain"]].concat());
        assert_eq!(counted(&plain), [12, 1, 9, 2]);
        assert_eq!(ask(&world, Some("clear"), "extranet", "stands in clear")["active"], true);
        nowhere(&world, &[SECRET, "stands in clear"]);
    }
}

/// So that worlds do not share a file.
fn file_number() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    NUMBER.fetch_add(1, Ordering::Relaxed).to_string()
}

#[test]
fn a_table_says_for_each_bad_line_where_and_why_and_takes_the_good_ones_over() {
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("tokens.csv");
    let path = file.to_str().unwrap();
    let key = "legacy-key-4f2c9b7d1e6a8035";
    let digest = <sha2::Sha256 as sha2::Digest>::digest(key);
    let hex = data_encoding::HEXLOWER.encode(&digest);
    let apr1 = printed("openssl", &["passwd", "-apr1", SECRET]);
    let good = format!(
        "user,service,name,secret,hash,format,scopes,expires_at,networks,labels\n\
         ann,wiki,laptop,{SECRET},,plain,,,,\n\
         ann,api,deploy,,{hex},sha256,read write,2099-12-31,127.0.0.0/8 ::1/128,team=a;stage=prod\n\
         bob,wiki,phone,,{apr1},crypt,,,,\n"
    );
    for world in World::on_each_store(UNTHROTTLED) {
        std::fs::write(&file, format!("{good}cid,wiki,x,,hunter2,,,,,\n,wiki,y,s3cretive,,,,,,\n"))
            .unwrap();
        let refused = import(&world, &["csv", path]);
        assert_eq!(refused.status.code(), Some(1));
        let report: Value = serde_json::from_slice(&refused.stdout).unwrap();
        let told: Vec<String> = report["left_out"]
            .as_array()
            .unwrap()
            .iter()
            .map(|note| {
                format!("{} {}", note["place"].as_str().unwrap(), note["why"].as_str().unwrap())
            })
            .collect();
        assert_eq!(
            told,
            [
                format!("{path}:5 column hash: is no hash of a known sort"),
                format!("{path}:6 column user: is missing"),
            ]
        );
        assert_eq!(world.admin.get("/services/wiki").status, 404, "nothing was half done");
        // A rehearsal says that it would be so.
        let rehearsed = world.site.run(&["import", "csv", path, "--dry-run"]);
        let said = [&rehearsed.stdout, &rehearsed.stderr].map(|text| String::from_utf8_lossy(text));
        assert_eq!(rehearsed.status.code(), Some(1));
        assert!(said[0].contains("NEW WITH --partial") && !said[0].contains("WOULD BE NEW"));
        assert!(said[0].contains("Nothing is taken over"), "{}", said[0]);
        assert!(said[1].contains("so nothing would be taken over"), "{}", said[1]);

        std::fs::write(&file, &good).unwrap();
        assert_eq!(counted(&imported(&world, &["csv", path])), [3, 3, 0, 0]);
        assert_eq!(counted(&imported(&world, &["csv", path])), [3, 0, 3, 0]);
        for user in ["ann", "bob"] {
            assert_eq!(ask(&world, Some(user), "wiki", SECRET)["active"], true, "{user}");
        }
        // A key is found without a name; what it may do came along.
        let question = json!({ "token": key, "service": "api", "client_ip": "127.0.0.9",
            "scopes": ["read"] });
        let said = world.admin.post("/verify", &question).expect(200);
        assert_eq!((&said["active"], &said["username"]), (&json!(true), &json!("ann")), "{said}");
        let elsewhere = json!({ "token": key, "service": "api", "client_ip": "192.0.2.9" });
        let said = world.admin.post("/verify", &elsewhere).expect(200);
        assert_eq!(said["code"], "network_denied", "{said}");
        let listed = world.admin.get("/tokens?user=ann&service=api").expect(200);
        let token = &listed["items"][0];
        assert_eq!(token["labels"]["stage"], "prod", "{token}");
        assert_eq!(token["expires_at"], "2100-01-01T00:00:00Z");
        upgraded(&world, "wiki", &["ann", "bob"]);
        nowhere(&world, &[SECRET, key]);
    }
}

#[test]
fn keys_of_unkey_are_found_by_their_hash_alone() {
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("keys.json");
    let path = file.to_str().unwrap();
    // A prefix, and sixteen bytes in base58.
    let [one, off] = ["prod_3ZW2kTzqjTbcBLW9XxTsY8vN", "prod_8Hq4vRb2NwYpKd7LmCx5TgZs"];
    let hash = |key: &str| {
        let digest = <sha2::Sha256 as sha2::Digest>::digest(key);
        data_encoding::BASE64.encode(&digest)
    };
    let keys = json!({ "keys": [
        { "keyId": "key_1", "hash": hash(one), "name": "Billing", "externalId": "ann",
          "credits": { "remaining": 2 }, "permissions": ["invoices.read"] },
        { "id": "key_2", "hash": { "value": hash(off), "variant": "sha256_base64" },
          "ownerId": "bob", "enabled": false, "ratelimit": { "limit": 10 } },
    ] });
    std::fs::write(&file, keys.to_string()).unwrap();
    for world in World::on_each_store(UNTHROTTLED) {
        let report = imported(&world, &["unkey", path, "--service", "api"]);
        assert_eq!(counted(&report), [2, 2, 0, 0], "{report}");
        assert!(report["remarks"][0]["why"].as_str().unwrap().contains("rate limit"), "{report}");
        for left in [json!(1), json!(0)] {
            let said = ask(&world, None, "api", one);
            assert_eq!((&said["active"], &said["remaining"]), (&json!(true), &left), "{said}");
        }
        assert_eq!(ask(&world, None, "api", one)["code"], "exhausted");
        assert_eq!(ask(&world, None, "api", off)["code"], "disabled");
        assert_eq!(ask(&world, None, "api", &hash(one))["code"], "unknown");
        assert_eq!(counted(&imported(&world, &["unkey", path, "--service", "api"])), [2, 0, 2, 0]);
        nowhere(&world, &[one, off, &hash(one)]);
    }
}

#[test]
fn passwords_of_a_real_directory_are_taken_over_live_and_from_its_export() {
    let slapd = Slapd::new(&Setup::default());
    let mut people = Vec::new();
    for (name, scheme, module) in [
        ("ssha", "{SSHA}", None),
        ("ssha512", "{SSHA512}", Some("pw-sha2")),
        ("pbkdf2", "{PBKDF2-SHA512}", Some("pw-pbkdf2")),
        ("argon2", "{ARGON2}", Some("argon2")),
        ("crypt", "{CRYPT}", None),
    ] {
        let mut arguments = vec!["-h", scheme, "-s", SECRET, "-o", "module-path=/usr/lib/ldap"];
        // It loads no more than one.
        let load = module.map(|name| format!("module-load={name}"));
        if let Some(load) = &load {
            arguments.extend(["-o", load]);
        }
        if scheme == "{CRYPT}" {
            arguments.extend(["-c", "$6$%.8s"]);
        }
        let value = printed("slappasswd", &arguments);
        slapd.add(&format!(
            "dn: uid={name},{PEOPLE}\nobjectClass: inetOrgPerson\nuid: {name}\ncn: {name}\n\
             sn: {name}\nuserPassword: {value}\n"
        ));
        people.push(name);
    }
    let elsewhere = tempfile::tempdir().unwrap();
    let password = elsewhere.path().join("password");
    std::fs::write(&password, PASSWORD).unwrap();
    let url = slapd.url();
    for world in World::on_each_store(UNTHROTTLED) {
        let arguments = [
            "ldap",
            &url,
            "--service",
            "imap",
            "--bind-dn",
            ADMIN,
            "--bind-password-file",
            password.to_str().unwrap(),
            "--base",
            PEOPLE,
        ];
        assert_eq!(counted(&imported(&world, &arguments)), [5, 5, 0, 0]);
        for one in &people {
            assert_eq!(ask(&world, Some(one), "imap", SECRET)["active"], true, "{one}");
        }
        // The export is the same people.
        let export = elsewhere.path().join("export.ldif");
        let ldif = printed(
            "ldapsearch",
            &["-x", "-LLL", "-H", &url, "-D", ADMIN, "-w", PASSWORD, "-b", PEOPLE, "(uid=*)"],
        );
        std::fs::write(&export, ldif).unwrap();
        let again = imported(&world, &["ldap", export.to_str().unwrap(), "--service", "imap"]);
        assert_eq!(counted(&again), [5, 0, 5, 0]);
        upgraded(&world, "imap", &people);
        nowhere(&world, &[SECRET]);
    }
}

#[test]
fn nobody_is_made_of_a_line_that_is_left_out() {
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("tokens.csv");
    let path = file.to_str().unwrap();
    // Wrong in itself, wrong by what is here, and in between a good one.
    let text = format!(
        "user,service,name,secret,hash,expires_at\n\
         gone,attic,old,{SECRET},,2001-01-01\n\
         ann,wiki,laptop,{SECRET},,\n\
         bad,wiki,x,,hunter2,\n\
         late,wiki,old,{SECRET},,2001-01-01\n\
         ,wiki,x,{SECRET},,\n"
    );
    std::fs::write(&file, text).unwrap();
    for world in World::on_each_store(UNTHROTTLED) {
        for more in [&["--dry-run"][..], &[]] {
            let arguments = [&["csv", path, "--partial"], more].concat();
            let report = imported(&world, &arguments);
            assert_eq!(counted(&report), [5, 1, 0, 4], "{report}");
            let places = report["left_out"].as_array().unwrap().iter().map(|one| &one["place"]);
            let expected = [2, 4, 5, 6].map(|line| json!(format!("{path}:{line}")));
            assert!(places.eq(&expected), "{report}");
            assert_eq!(report["left_out"][0]["why"], "it has ended", "{report}");
            assert_eq!(report["tables"]["people"]["new"], 1, "{report}");
            assert_eq!(report["tables"]["services"]["new"], 1, "{report}");
        }
        for (what, status) in [
            ("/users/ann", 200),
            ("/users/gone", 404),
            ("/users/late", 404),
            ("/users/bad", 404),
            ("/services/wiki", 200),
            ("/services/attic", 404),
        ] {
            assert_eq!(world.admin.get(what).status, status, "{what}");
        }
        assert_eq!(ask(&world, Some("ann"), "wiki", SECRET)["active"], true);
        // A second run finds the good one, and still makes nobody.
        let again = imported(&world, &["csv", path, "--partial"]);
        assert_eq!(counted(&again), [5, 0, 1, 4], "{again}");
        assert_eq!(world.admin.get("/users/late").status, 404);
    }
}

/// A token string with a right checksum that nobody was issued.
const OURS: &str = "cflp_0123456789AB_abcdefghijklmnopqrstuvwxyz0123450devdl";

#[test]
fn a_line_that_names_somebody_by_a_token_is_left_out_and_not_repeated() {
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("people.csv");
    let text = format!("user,name,secret\n{OURS},home,{SECRET}\nann,home,{SECRET}\n");
    std::fs::write(&file, format!("{text}bob,see {OURS},{SECRET}\n")).unwrap();
    for world in World::on_each_store(UNTHROTTLED) {
        let arguments = ["csv", file.to_str().unwrap(), "--service", "wiki"];
        let whole = import(&world, &arguments);
        assert!(!whole.status.success());
        let users = world.admin.get("/users?limit=1000").expect(200);
        assert!(!users.to_string().contains("\"ann\""), "{users}");
        let report = imported(&world, &[&arguments[..], &["--partial"]].concat());
        assert_eq!(counted(&report), [3, 1, 0, 2], "{report}");
        let told = report["left_out"].as_array().unwrap();
        let why = |why: &str| told.iter().filter(|one| one["why"].as_str() == Some(why)).count();
        let held = "holds a token; a secret is never part of a text";
        assert_eq!(why(&format!("username: {held}")), 1, "{report}");
        assert_eq!(why("its person is not here, and not taken over"), 1, "{report}");
        assert_eq!(why(&format!("name: {held}")), 1, "{report}");
        assert_eq!(world.admin.get("/users/bob").status, 404, "his line is left out");
        assert_eq!(ask(&world, Some("ann"), "wiki", SECRET)["active"], true);
        let folded = OURS.to_lowercase();
        for said in [whole.stdout, whole.stderr, report.to_string().into_bytes()] {
            let said = String::from_utf8(said).unwrap().to_lowercase();
            assert!(!said.contains(&folded[..40]), "{said}");
        }
        nowhere(&world, &[OURS, &folded]);
    }
}

/// The export and its key, as `fixtures/privacyidea/README.md` says.
const EXPORT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/privacyidea/tokens.pi");
const EXPORT_KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/privacyidea/key");

#[test]
fn tokens_of_privacyidea_go_on_where_they_were() {
    let registration = "9Aimh{i@D+a3-yQ<6(SwBo4F";
    for world in World::on_each_store(UNTHROTTLED) {
        let arguments =
            ["privacyidea", EXPORT, "--key-file", EXPORT_KEY, "--service", "vpn", "--partial"];
        let report = imported(&world, &arguments);
        assert_eq!(counted(&report), [7, 5, 0, 2], "{report}");
        // The fifth counter of RFC 4226, appendix D, comes next; the one before it is over.
        let good = |code: &str| ask(&world, Some("ann"), "vpn", code)["active"] == true;
        assert_eq!(["338314", "254676", "254676", "287922"].map(good), [false, true, false, true]);
        let application = "application password 1";
        assert_eq!(ask(&world, Some("ann"), "imap", application)["active"], true);
        assert_eq!(ask(&world, Some("ann"), "vpn", application)["active"], false);
        assert_eq!(ask(&world, Some("bob"), "vpn", "a fixed password")["code"], "disabled");
        assert_eq!(ask(&world, Some("ann"), "vpn", registration)["active"], true);
        assert_eq!(ask(&world, Some("ann"), "vpn", registration)["code"], "exhausted");
        let totp = world.admin.get("/tokens?user=bob&kind=generic").expect(200);
        assert_eq!(totp["items"][0]["expires_at"], "2030-01-31T11:00:00Z", "{totp}");
        assert_eq!(counted(&imported(&world, &arguments)), [7, 0, 5, 2]);
        let seed = "3132333435363738393031323334353637383930";
        nowhere(&world, &["12345678901234567890", seed, application, registration]);
    }
}
