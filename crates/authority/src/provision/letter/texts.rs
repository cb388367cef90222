//! The letters' words where a realm has none of its own, in English and German.

use super::{CODE_SENT, LINK_ISSUED, LetterTemplate};
use crate::kind::Kind;

/// The languages of these words; somebody with another one is written to in the first.
const LANGUAGES: [&str; 2] = ["en", "de"];

/// The built-in template of an event.
pub(super) fn of(event: &str, language: &str) -> Option<LetterTemplate> {
    let language = LANGUAGES.into_iter().find(|own| *own == language).unwrap_or(LANGUAGES[0]);
    let german = language == "de";
    let (subject, first) = if german { german_of(event)? } else { english_of(event)? };
    let is_wide = !event.starts_with("token.") && !event.starts_with("link.");
    let frame = match (event, german) {
        (CODE_SENT, false) => CODE_ENGLISH,
        (CODE_SENT, true) => CODE_GERMAN,
        (LINK_ISSUED, false) => LINK_ENGLISH,
        (LINK_ISSUED, true) => LINK_GERMAN,
        (_, false) if event.starts_with("keepers-") => KEEPERS_ENGLISH,
        (_, true) if event.starts_with("keepers-") => KEEPERS_GERMAN,
        (_, false) if is_wide => WIDE_ENGLISH,
        (_, true) if is_wide => WIDE_GERMAN,
        (_, false) => ENGLISH,
        (_, true) => GERMAN,
    };
    Some(LetterTemplate {
        event: event.to_owned(),
        service: None,
        language: Some(language.to_owned()),
        subject: subject.to_owned(),
        text: frame.replace("{first}", first),
        html: None,
    })
}

/// What a token without a name is called.
pub(super) fn kind(kind: Kind, language: &str) -> &'static str {
    match (kind, language) {
        (Kind::ServiceToken, "de") => "Anwendungspasswort",
        (Kind::ServiceToken, _) => "service token",
        (Kind::PersonalAccessToken, "de") => "persönliches Zugriffstoken",
        (Kind::PersonalAccessToken, _) => "personal access token",
        (Kind::RegistrationToken, "de") => "Registrierungstoken",
        (Kind::RegistrationToken, _) => "registration token",
        (_, "de") => "Token",
        (_, _) => "token",
    }
}

/// What a letter is about that is about no token in particular.
pub(super) fn every_token(language: &str) -> &'static str {
    if language == "de" { "alle Token" } else { "all tokens" }
}

/// What stands for an end that there is not.
pub(super) fn never(language: &str) -> &'static str {
    if language == "de" { "nie" } else { "never" }
}

const ENGLISH: &str = "Hello (@CO_PERSON),

{first}

Token:   (@AUTHENTICATOR), id (@TOKEN_ID)
Service: (@SERVICE)
When:    (@TIME), by (@ACTOR)
Ends:    (@EXPIRES)

The token itself is never sent by mail.
If you did not expect this, revoke the token and tell whoever looks after (@CO_NAME).
";

const GERMAN: &str = "Guten Tag (@CO_PERSON),

{first}

Token:  (@AUTHENTICATOR), Nummer (@TOKEN_ID)
Dienst: (@SERVICE)
Wann:   (@TIME), durch (@ACTOR)
Ende:   (@EXPIRES)

Das Token selbst wird nie per E-Mail verschickt.
Falls Sie das nicht erwartet haben, widerrufen Sie das Token und melden Sie sich bei (@CO_NAME).
";

const LINK_ENGLISH: &str = "Hello (@CO_PERSON),

{first}

(@LINK)

The link works once, until (@LINK_EXPIRY).
Whoever opens it first gets the token, so do not pass it on.

Token:   (@AUTHENTICATOR), id (@TOKEN_ID)
Service: (@SERVICE)
When:    (@TIME), by (@ACTOR)
Ends:    (@EXPIRES)
";

const LINK_GERMAN: &str = "Guten Tag (@CO_PERSON),

{first}

(@LINK)

Der Link gilt einmal, bis (@LINK_EXPIRY).
Wer ihn zuerst öffnet, bekommt das Token; geben Sie ihn nicht weiter.

Token:  (@AUTHENTICATOR), Nummer (@TOKEN_ID)
Dienst: (@SERVICE)
Wann:   (@TIME), durch (@ACTOR)
Ende:   (@EXPIRES)
";

const CODE_ENGLISH: &str = "Hello (@CO_PERSON),

{first}

    (@CODE)

It works once, until (@CODE_EXPIRY).
Nobody who works for (@CO_NAME) will ever ask you for it.
If you did not ask for it, somebody is trying to log in as you; tell whoever looks after (@CO_NAME).
";

const CODE_GERMAN: &str = "Guten Tag (@CO_PERSON),

{first}

    (@CODE)

Der Code gilt einmal, bis (@CODE_EXPIRY).
Niemand von (@CO_NAME) wird Sie je danach fragen.
Falls Sie ihn nicht angefordert haben, versucht jemand, sich als Sie anzumelden; melden Sie das.
";

const KEEPERS_ENGLISH: &str = "Hello (@CO_PERSON),

{first}

Token:   (@AUTHENTICATOR), id (@TOKEN_ID)
Owner:   (@OWNER)
Service: (@SERVICE)
Ends:    (@EXPIRES)

You get this because you look after (@SERVICE); (@OWNER) is told, too.
";

const KEEPERS_GERMAN: &str = "Guten Tag (@CO_PERSON),

{first}

Token:  (@AUTHENTICATOR), Nummer (@TOKEN_ID)
Wessen: (@OWNER)
Dienst: (@SERVICE)
Ende:   (@EXPIRES)

Sie erhalten dies, weil Sie (@SERVICE) betreuen; (@OWNER) erfährt es auch.
";

const WIDE_ENGLISH: &str = "Hello (@CO_PERSON),

{first}

Service: (@SERVICE)
When:    (@TIME), by (@ACTOR)

If you did not expect this, ask whoever looks after (@CO_NAME).
";

const WIDE_GERMAN: &str = "Guten Tag (@CO_PERSON),

{first}

Dienst: (@SERVICE)
Wann:   (@TIME), durch (@ACTOR)

Falls Sie das nicht erwartet haben, melden Sie sich bei (@CO_NAME).
";

/// Subject and first sentence.
fn english_of(event: &str) -> Option<(&'static str, &'static str)> {
    Some(match event {
        CODE_SENT => ("(@CO_NAME): your code", "Your code for (@CO_NAME) is:"),
        LINK_ISSUED => (
            "(@SERVICE): your new token is waiting",
            "A token for (@SERVICE) was issued to you. Open this link to see it:",
        ),
        "token.issued" => {
            ("(@SERVICE): a token was issued", "A token for (@SERVICE) was issued to you.")
        }
        "token.replaced" => (
            "(@SERVICE): a token was replaced",
            "A newer token took the place of this one, which is no longer good for (@SERVICE).",
        ),
        "token.rotated" => (
            "(@SERVICE): a token got a new secret",
            "Your token for (@SERVICE) got a new secret. The former one ends.",
        ),
        "token.revoked" => (
            "(@SERVICE): a token was revoked",
            "Your token for (@SERVICE) was revoked and will not work again. Reason: (@REASON)",
        ),
        "token.locked" => (
            "(@SERVICE): a token was locked",
            "Your token for (@SERVICE) was locked. It does not work until it is unlocked.",
        ),
        "token.unlocked" => {
            ("(@SERVICE): a token was unlocked", "Your token for (@SERVICE) works again.")
        }
        "token.enabled" => {
            ("(@SERVICE): a token was switched on", "Your token for (@SERVICE) was switched on.")
        }
        "token.disabled" => {
            ("(@SERVICE): a token was switched off", "Your token for (@SERVICE) was switched off.")
        }
        "token.updated" => {
            ("(@SERVICE): a token was changed", "Your token for (@SERVICE) was changed.")
        }
        "token.ends-soon" => (
            "(@SERVICE): a token ends soon",
            "Your token for (@SERVICE) ends at (@EXPIRES). Replace it before then.",
        ),
        "token.ended" => (
            "(@SERVICE): a token has ended",
            "Your token for (@SERVICE) ended at (@EXPIRES) and works no more. Make another one if \
             you still need it.",
        ),
        "keepers-ends-soon" => (
            "(@SERVICE): a token of (@OWNER) ends soon",
            "A token for (@SERVICE) ends at (@EXPIRES). What uses it stops working then.",
        ),
        "keepers-ended" => (
            "(@SERVICE): a token of (@OWNER) has ended",
            "A token for (@SERVICE) ended at (@EXPIRES). What still uses it is refused.",
        ),
        "link.opened" => (
            "(@SERVICE): your link was opened",
            "The link to your token for (@SERVICE) was opened and shows nothing any more. If that \
             was not you, somebody else has the token: revoke it.",
        ),
        "user.locked" => (
            "(@SERVICE): your tokens were locked",
            "None of your tokens for (@SERVICE) works until this lock is taken away, not even one \
             that is issued meanwhile.",
        ),
        "user.unlocked" => (
            "(@SERVICE): your tokens were unlocked",
            "The lock of your tokens for (@SERVICE) was taken away. Those that are good by \
             themselves work again.",
        ),
        "service.locked" => (
            "(@SERVICE): the service was locked",
            "No token for (@SERVICE) works until this lock is taken away, neither yours nor \
             anybody else's.",
        ),
        "service.unlocked" => (
            "(@SERVICE): the service was unlocked",
            "The lock of (@SERVICE) was taken away. Tokens that are good by themselves work again.",
        ),
        _ => return None,
    })
}

fn german_of(event: &str) -> Option<(&'static str, &'static str)> {
    Some(match event {
        CODE_SENT => ("(@CO_NAME): Ihr Code", "Ihr Code für (@CO_NAME) lautet:"),
        LINK_ISSUED => (
            "(@SERVICE): Ihr neues Token liegt bereit",
            "Für Sie wurde ein Token für (@SERVICE) ausgestellt. Dieser Link zeigt es an:",
        ),
        "token.issued" => {
            ("(@SERVICE): Token ausgestellt", "Für Sie wurde ein Token für (@SERVICE) ausgestellt.")
        }
        "token.replaced" => (
            "(@SERVICE): Token ersetzt",
            "Ein neueres Token hat dieses ersetzt, das für (@SERVICE) nicht mehr gilt.",
        ),
        "token.rotated" => (
            "(@SERVICE): Token erneuert",
            "Ihr Token für (@SERVICE) hat ein neues Geheimnis; das bisherige läuft ab.",
        ),
        "token.revoked" => (
            "(@SERVICE): Token widerrufen",
            "Ihr Token für (@SERVICE) wurde endgültig widerrufen. Grund: (@REASON)",
        ),
        "token.locked" => (
            "(@SERVICE): Token gesperrt",
            "Ihr Token für (@SERVICE) wurde gesperrt und gilt erst nach der Entsperrung wieder.",
        ),
        "token.unlocked" => {
            ("(@SERVICE): Token entsperrt", "Ihr Token für (@SERVICE) gilt wieder.")
        }
        "token.enabled" => {
            ("(@SERVICE): Token eingeschaltet", "Ihr Token für (@SERVICE) wurde eingeschaltet.")
        }
        "token.disabled" => {
            ("(@SERVICE): Token ausgeschaltet", "Ihr Token für (@SERVICE) wurde ausgeschaltet.")
        }
        "token.updated" => {
            ("(@SERVICE): Token geändert", "Ihr Token für (@SERVICE) wurde geändert.")
        }
        "token.ends-soon" => (
            "(@SERVICE): Token läuft bald ab",
            "Ihr Token für (@SERVICE) läuft ab: (@EXPIRES). Ersetzen Sie es vorher.",
        ),
        "token.ended" => (
            "(@SERVICE): Token abgelaufen",
            "Ihr Token für (@SERVICE) ist abgelaufen: (@EXPIRES). Es gilt nicht mehr; falls Sie es \
             noch brauchen, machen Sie ein neues.",
        ),
        "keepers-ends-soon" => (
            "(@SERVICE): Token von (@OWNER) läuft bald ab",
            "Ein Token für (@SERVICE) läuft ab: (@EXPIRES). Was es benutzt, geht dann nicht mehr.",
        ),
        "keepers-ended" => (
            "(@SERVICE): Token von (@OWNER) abgelaufen",
            "Ein Token für (@SERVICE) ist abgelaufen: (@EXPIRES). Was es noch benutzt, wird \
             abgewiesen.",
        ),
        "link.opened" => (
            "(@SERVICE): Ihr Link wurde geöffnet",
            "Der Link zu Ihrem Token für (@SERVICE) wurde geöffnet und zeigt nichts mehr an. Falls \
             Sie das nicht waren, hat jemand anders das Token: widerrufen Sie es.",
        ),
        "user.locked" => (
            "(@SERVICE): Ihre Token wurden gesperrt",
            "Keines Ihrer Token für (@SERVICE) gilt, bis diese Sperre aufgehoben ist, auch keines, \
             das inzwischen ausgestellt wird.",
        ),
        "user.unlocked" => (
            "(@SERVICE): Ihre Token wurden entsperrt",
            "Die Sperre Ihrer Token für (@SERVICE) wurde aufgehoben. Was für sich genommen gültig \
             ist, gilt wieder.",
        ),
        "service.locked" => (
            "(@SERVICE): Dienst gesperrt",
            "Kein Token für (@SERVICE) gilt, bis diese Sperre aufgehoben ist, weder Ihres noch das \
             von anderen.",
        ),
        "service.unlocked" => (
            "(@SERVICE): Dienst entsperrt",
            "Die Sperre von (@SERVICE) wurde aufgehoben. Was für sich genommen gültig ist, gilt \
             wieder.",
        ),
        _ => return None,
    })
}
