//! `counterfoil token mint` and `token sheet`, and a delivery link from the command line.

use std::collections::BTreeSet;
use std::fs;

use crate::remote::Site;
use crate::world::mode;

#[test]
fn a_hundred_names_get_a_hundred_tokens_and_a_second_run_changes_nothing() {
    let site = Site::new();
    let names: Vec<String> = (0..100).map(|number| format!("ws-{number:03}")).collect();
    let list = site.world.path("fleet.csv");
    fs::write(&list, format!("name,ref_id_1\n{}", names.join(",ref\n") + ",ref\n")).unwrap();
    let words = "token mint --from fleet.csv --env-dir env --qr-dir qr --expires 7d";
    let ran = site.ask(words, "");
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(ran.stdout.is_empty(), "secrets go to files: {}", ran.stdout);
    assert!(ran.stderr.contains("100 minted, 0 were there already"), "{}", ran.stderr);
    let mut secrets = BTreeSet::new();
    for name in &names {
        let env = site.world.path("env").join(format!("{name}.env"));
        assert_eq!(mode(&env), 0o600);
        let text = fs::read_to_string(&env).unwrap();
        let secret = text.split("COUNTERFOIL_REGISTRATION_TOKEN=").nth(1).unwrap().trim();
        assert!(secret.starts_with("cflr_"), "{text}");
        secrets.insert(secret.to_owned());
        let image = fs::read_to_string(site.world.path("qr").join(format!("{name}.svg"))).unwrap();
        assert!(image.contains("<svg") && !image.contains(secret));
    }
    assert_eq!(secrets.len(), 100);

    let again = site.ask(words, "");
    assert!(again.stderr.contains("0 minted, 100 were there already"), "{}", again.stderr);
    // A file that was gone is written again from the same answer.
    let gone = site.world.path("env").join("ws-007.env");
    let before = fs::read_to_string(&gone).unwrap();
    fs::remove_file(&gone).unwrap();
    let third = site.ask(words, "");
    assert!(third.stderr.contains("1 minted, 99 were there already"), "{}", third.stderr);
    assert_eq!(fs::read_to_string(&gone).unwrap(), before);

    let sheet = site.done("token sheet fleet");
    assert_eq!(sheet.lines().count(), 101);
    assert!(sheet.starts_with("name,token,state,drawn_by,drawn_at,expires_at\nws-000,"), "{sheet}");
    site.done("token sheet fleet --out sheet.csv");
    assert_eq!(fs::read_to_string(site.world.path("sheet.csv")).unwrap(), sheet);
    assert_eq!(mode(&site.world.path("sheet.csv")), 0o600);
    assert_eq!(site.status("token sheet nothing"), 1);
}

#[test]
fn a_bad_line_is_told_before_anything_is_minted() {
    let site = Site::new();
    fs::write(site.world.path("bad.csv"), "name\ngood\nworse name\n").unwrap();
    let ran = site.ask("token mint --from bad.csv", "");
    assert_eq!((ran.status, ran.stdout.as_str()), (1, ""));
    assert!(ran.stderr.contains("bad.csv: line 3: `worse name`"), "{}", ran.stderr);
    assert_eq!(site.json("token list --kind registration")["items"].as_array().unwrap().len(), 0);
}

#[test]
fn links_are_minted_and_issued_from_the_command_line() {
    let site = Site::new();
    fs::write(site.world.path("few.csv"), "name\none\ntwo\n").unwrap();
    let listed = site.done("token mint --from few.csv --delivery link");
    assert!(listed.starts_with("name,token,link\none,"), "{listed}");
    assert_eq!(listed.matches("/open#cflb_").count(), 2, "{listed}");
    site.done("user create alice");
    site.done("service create git");
    let issue = "token issue --user alice --service git --kind service --delivery link";
    let link = site.done(&format!("{issue} -q"));
    assert!(link.contains("/open#cflb_") && link.lines().count() == 1, "{link}");
    let said = site.ask(issue, "");
    assert!(said.stderr.contains("This link makes its secret once, until "), "{}", said.stderr);
}
