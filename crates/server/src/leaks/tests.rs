//! Reports of leaked tokens by the published example, and every way in which one is not right.

use std::fs;

use super::*;

/// The example of GitHub's documentation: key, id, body and signature.
const KEY_ID: &str = "f9525bf080f75b3506ca1ead061add62b8633a346606dc5fe544e29231c6ee0d";
const PEM: &str = "-----BEGIN PUBLIC KEY-----\n\
    MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEsz9ugWDj5jK5ELBK42ynytbo38gP\n\
    HzZFI03Exwz8Lh/tCfL3YxwMdLjB+bMznsanlhK0RwcGP3IDb34kQDIo3Q==\n\
    -----END PUBLIC KEY-----";
const BODY: &[u8] =
    br#"[{"token":"some_token","type":"some_type","url":"some_url","source":"some_source"}]"#;
const SIGNATURE: &str = "MEUCIFLZzeK++IhS+y276SRk2Pe5LfDrfvTXu6iwKKcFGCrvAiEAhHN2kDOhy2I6eGkOFmxNkOJ+L2y8oQ9A2T9GGJo6WJY=";

fn published(id: &str) -> String {
    let key = serde_json::json!({ "key_identifier": id, "key": PEM, "is_current": true });
    serde_json::json!({ "public_keys": [key] }).to_string()
}

struct Kept {
    dir: tempfile::TempDir,
    keys: GithubKeys,
}

impl Kept {
    fn with(text: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys.json");
        fs::write(&path, text).unwrap();
        let settings =
            GithubSettings { keys_url: "http://127.0.0.1:1/".to_owned(), keys_file: Some(path) };
        Self { dir, keys: GithubKeys::new(settings) }
    }

    fn write(&self, text: &str) {
        fs::write(self.dir.path().join("keys.json"), text).unwrap();
    }

    async fn said(&self, body: &[u8], id: &str, signature: &str, seconds: i64) -> &'static str {
        let at = Timestamp::from_seconds(seconds);
        match self.keys.verify(body, (Some(id), Some(signature)), at).await {
            Ok(()) => "signed",
            Err(why) => why.code(),
        }
    }
}

#[tokio::test]
async fn the_documented_example_is_signed_and_nothing_like_it() {
    let kept = Kept::with(&published(KEY_ID));
    assert_eq!(kept.said(BODY, KEY_ID, SIGNATURE, 0).await, "signed");
    let altered: Vec<u8> = BODY.iter().copied().chain([b'\n']).collect();
    assert_eq!(kept.said(&altered, KEY_ID, SIGNATURE, 1).await, "bad_signature");
    assert_eq!(kept.said(BODY, "another", SIGNATURE, 2).await, "unknown_key");
    let other = SIGNATURE.replace("+IhS", "+IhT");
    assert_eq!(kept.said(BODY, KEY_ID, &other, 3).await, "bad_signature");
    for none in ["", "!", &"A".repeat(200)] {
        let said = kept.said(BODY, KEY_ID, none, 4).await;
        assert!(matches!(said, "unsigned" | "bad_signature"), "{none}: {said}");
    }
    let at = Timestamp::from_seconds(5);
    let missing = kept.keys.verify(BODY, (None, Some(SIGNATURE)), at).await;
    assert_eq!(missing, Err(NotSigned::Missing));
}

#[tokio::test]
async fn a_new_key_is_asked_for_now_and_then_and_old_ones_stay_while_nobody_answers() {
    let kept = Kept::with(&published("former"));
    assert_eq!(kept.said(BODY, "former", SIGNATURE, 0).await, "signed");
    kept.write(&published(KEY_ID));
    // Somebody asked a moment ago.
    assert_eq!(kept.said(BODY, KEY_ID, SIGNATURE, KEYS_AGAIN_SECONDS - 1).await, "unknown_key");
    assert_eq!(kept.said(BODY, KEY_ID, SIGNATURE, KEYS_AGAIN_SECONDS).await, "signed");
    // The former one is published no more.
    assert_eq!(kept.said(BODY, "former", SIGNATURE, KEYS_AGAIN_SECONDS).await, "unknown_key");
    let late = 2 * KEYS_SECONDS;
    for broken in ["", "{}", "{\"public_keys\":[]}", &published(KEY_ID).replace("MFkw", "MFkx")] {
        kept.write(broken);
        assert_eq!(kept.said(BODY, KEY_ID, SIGNATURE, late).await, "signed", "{broken}");
    }
    kept.write(&published("newest"));
    assert_eq!(kept.said(BODY, KEY_ID, SIGNATURE, late + KEYS_AGAIN_SECONDS).await, "unknown_key");
}

#[tokio::test]
async fn nobody_who_answers_is_no_reason_to_believe() {
    let settings = GithubSettings { keys_url: "http://127.0.0.1:1/".to_owned(), keys_file: None };
    let keys = GithubKeys::new(settings);
    let at = Timestamp::from_seconds(0);
    let said = keys.verify(BODY, (Some(KEY_ID), Some(SIGNATURE)), at).await;
    assert_eq!(said, Err(NotSigned::UnknownKey));
}

/// A server that answers once and never again; says when somebody has come who gets no answer.
async fn hanging(text: String) -> (String, tokio::sync::oneshot::Receiver<()>) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (waits, waiting) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let (mut first, _) = listener.accept().await.unwrap();
        assert!(first.read(&mut [0; 4096]).await.unwrap() > 0);
        let length = text.len();
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
        first.write_all((head + &text).as_bytes()).await.unwrap();
        drop(first);
        let second = listener.accept().await.unwrap();
        waits.send(()).unwrap();
        std::future::pending::<()>().await;
        drop(second);
    });
    (url, waiting)
}

#[tokio::test]
async fn a_made_up_key_that_is_asked_for_holds_up_nobody_whose_key_is_known() {
    let (keys_url, waiting) = hanging(published(KEY_ID)).await;
    let keys = GithubKeys::new(GithubSettings { keys_url, keys_file: None });
    let keys = std::sync::Arc::new(keys);
    let said = async |id: &str, seconds: i64| {
        let at = Timestamp::from_seconds(seconds);
        keys.verify(BODY, (Some(id), Some(SIGNATURE)), at).await
    };
    assert_eq!(said(KEY_ID, 0).await, Ok(()));
    let other = std::sync::Arc::clone(&keys);
    let made_up = tokio::spawn(async move {
        let at = Timestamp::from_seconds(KEYS_AGAIN_SECONDS);
        other.verify(BODY, (Some("made-up"), Some(SIGNATURE)), at).await
    });
    waiting.await.unwrap();
    assert_eq!(said(KEY_ID, KEYS_AGAIN_SECONDS).await, Ok(()));
    // Also when it is to be asked for again, which somebody does already.
    assert_eq!(said(KEY_ID, KEYS_SECONDS).await, Ok(()));
    assert!(!made_up.is_finished());
    made_up.abort();
}

/// The list comes over the network, and what is no key in it is passed over.
#[test]
fn mutations_of_a_list_of_keys_give_keys_or_none() {
    let (text, mut dice) = (published(KEY_ID), crate::mutations::Dice(7));
    let mut some = 0;
    for _ in 0..20_000 {
        let bytes = crate::mutations::mutated(&mut dice, &text);
        if let Ok(keys) = keys_of(&bytes) {
            assert!(!keys.is_empty() && keys.len() <= KEYS_MAX);
            assert!(keys.iter().all(|(_, point)| point.len() == 65));
            some += 1;
        }
    }
    assert!(some > 100, "{some}");
}
