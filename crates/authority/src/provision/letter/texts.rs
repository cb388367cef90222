//! The letters' words where a realm has none of its own, in English and German.

use super::{CODE_SENT, LINK_ISSUED, LetterTemplate};
use crate::event::ALARMS;
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
        (_, false) if ALARMS.contains(&event) => ALARM_ENGLISH,
        (_, true) if ALARMS.contains(&event) => ALARM_GERMAN,
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
        (Kind::Decoy, "de") => "Köder",
        (Kind::Decoy, _) => "decoy",
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

/// What is announced of short refusals before an end.
pub(super) fn brown_out(language: &str, next: &str, every_hours: u32, seconds: u32) -> String {
    let minutes = seconds.div_ceil(60);
    if language == "de" {
        format!(
            "Ab {next} wird es alle {every_hours} Stunden für {minutes} Minuten abgewiesen, damit \
             auffällt, was es noch benutzt."
        )
    } else {
        format!(
            "From {next} on it is refused for {minutes} minutes every {every_hours} hours, so \
             that what still uses it is noticed."
        )
    }
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

const ALARM_ENGLISH: &str = "Hello (@CO_PERSON),

{first}

Token:     (@AUTHENTICATOR), id (@TOKEN_ID)
Service:   (@SERVICE)
May do:    (@SCOPES)
When:      (@TIME), from (@SOURCE), door (@DOOR)
Found at:  (@PLACE)
Used:      (@USES)

Last uses are given as day, door, number and the address of the latest one.
If this was you, or a program of yours, put things in order there.
If not, revoke the token if it still works, and tell whoever looks after (@CO_NAME).
";

const ALARM_GERMAN: &str = "Guten Tag (@CO_PERSON),

{first}

Token:      (@AUTHENTICATOR), Nummer (@TOKEN_ID)
Dienst:     (@SERVICE)
Darf:       (@SCOPES)
Wann:       (@TIME), von (@SOURCE), Zugang (@DOOR)
Fundstelle: (@PLACE)
Benutzt:    (@USES)

Letzte Benutzungen stehen als Tag, Zugang, Anzahl und Adresse der letzten.
Waren Sie das oder ein Programm von Ihnen, so bringen Sie es dort in Ordnung.
Sonst widerrufen Sie das Token, falls es noch gilt, und melden Sie sich bei (@CO_NAME).
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
            "Your token for (@SERVICE) ends at (@EXPIRES). Replace it before then. (@BROWNOUT)",
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
        _ => return english_more_of(event),
    })
}

/// The same of alarms, of ends, and for those who look after a service.
fn english_more_of(event: &str) -> Option<(&'static str, &'static str)> {
    Some(match event {
        "token.leaked" => (
            "(@CO_NAME): a token of yours was found in public",
            "Your token for (@SERVICE) was found where anybody can read it. What was done: (@REASON).",
        ),
        "token.decoy-used" => (
            "(@CO_NAME): somebody used a decoy",
            "Somebody presented the decoy (@AUTHENTICATOR): whoever did has been where it lay.",
        ),
        "token.retired-secret-used" => (
            "(@SERVICE): an old secret of your token was used",
            "A secret that your token had before a rotation was presented after its time. Either a \
             program was not told of the new one, or somebody has a copy.",
        ),
        "token.refresh-reused" => (
            "(@SERVICE): a copied token was used",
            "A refresh token was presented that had been exchanged long ago, so somebody has a \
             copy. It was ended for whoever holds it.",
        ),
        "token.count-exceeded" => (
            "(@SERVICE): a registration token was tried after its last draw",
            "Somebody tried to draw from your registration token when all of it had been taken.",
        ),
        "link.reopened" => (
            "(@SERVICE): your link was opened a second time",
            "The link to your token for (@SERVICE) was opened again after it had shown the token. \
             Somebody else has read what was meant for you, or you opened it twice.",
        ),
        "token.ended" => (
            "(@SERVICE): a token has ended",
            "Your token for (@SERVICE) ended at (@EXPIRES) and works no more. Make another one if \
             you still need it.",
        ),
        "token.new-network" => (
            "(@SERVICE): a token was used from a new network",
            "Your token for (@SERVICE) was used from a network that it was not used from before: \
             (@REASON).",
        ),
        "token.many-networks" => (
            "(@SERVICE): a token is used from many networks",
            "Your token for (@SERVICE) was used from more networks within a day than its service \
             allows without an alarm. Somebody else may have it.",
        ),
        "keepers-ends-soon" => (
            "(@SERVICE): a token of (@OWNER) ends soon",
            "A token for (@SERVICE) ends at (@EXPIRES). What uses it stops working then. (@BROWNOUT)",
        ),
        "keepers-ended" => (
            "(@SERVICE): a token of (@OWNER) has ended",
            "A token for (@SERVICE) ended at (@EXPIRES). What still uses it is refused.",
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
            "Ihr Token für (@SERVICE) läuft ab: (@EXPIRES). Ersetzen Sie es vorher. (@BROWNOUT)",
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
        _ => return german_more_of(event),
    })
}

/// The same of alarms, of ends, and for those who look after a service.
fn german_more_of(event: &str) -> Option<(&'static str, &'static str)> {
    Some(match event {
        "token.leaked" => (
            "(@CO_NAME): Ihr Token stand öffentlich",
            "Ihr Token für (@SERVICE) wurde gefunden, wo es alle lesen können. Maßnahme: (@REASON).",
        ),
        "token.decoy-used" => (
            "(@CO_NAME): ein Köder wurde benutzt",
            "Jemand hat den Köder (@AUTHENTICATOR) vorgezeigt und war also dort, wo er lag.",
        ),
        "token.retired-secret-used" => (
            "(@SERVICE): ein altes Geheimnis Ihres Tokens wurde benutzt",
            "Ein Geheimnis, das Ihr Token vor einem Wechsel hatte, wurde nach seiner Zeit \
             vorgezeigt. Ein Programm kennt das neue nicht, oder jemand hat eine Kopie.",
        ),
        "token.refresh-reused" => (
            "(@SERVICE): ein kopiertes Token wurde benutzt",
            "Ein Token wurde vorgezeigt, das längst eingetauscht war; jemand hat also eine Kopie. \
             Es gilt nun für niemanden mehr.",
        ),
        "token.count-exceeded" => (
            "(@SERVICE): ein aufgebrauchtes Registrierungstoken wurde versucht",
            "Jemand wollte Ihr Registrierungstoken einlösen, als alles davon vergeben war.",
        ),
        "link.reopened" => (
            "(@SERVICE): Ihr Link wurde ein zweites Mal geöffnet",
            "Der Link zu Ihrem Token für (@SERVICE) wurde noch einmal geöffnet. Jemand anders hat \
             gelesen, was für Sie war, oder Sie haben ihn zweimal geöffnet.",
        ),
        "token.ended" => (
            "(@SERVICE): Token abgelaufen",
            "Ihr Token für (@SERVICE) ist abgelaufen: (@EXPIRES). Es gilt nicht mehr; falls Sie es \
             noch brauchen, machen Sie ein neues.",
        ),
        "token.new-network" => (
            "(@SERVICE): Token aus neuem Netz benutzt",
            "Ihr Token für (@SERVICE) wurde aus einem Netz benutzt, aus dem es bisher nicht kam: \
             (@REASON).",
        ),
        "token.many-networks" => (
            "(@SERVICE): Token aus vielen Netzen benutzt",
            "Ihr Token für (@SERVICE) wurde an einem Tag aus mehr Netzen benutzt, als der Dienst \
             ohne Alarm zulässt. Vielleicht hat es noch jemand.",
        ),
        "keepers-ends-soon" => (
            "(@SERVICE): Token von (@OWNER) läuft bald ab",
            "Ein Token für (@SERVICE) läuft ab: (@EXPIRES). Was es benutzt, geht dann nicht mehr. \
             (@BROWNOUT)",
        ),
        "keepers-ended" => (
            "(@SERVICE): Token von (@OWNER) abgelaufen",
            "Ein Token für (@SERVICE) ist abgelaufen: (@EXPIRES). Was es noch benutzt, wird \
             abgewiesen.",
        ),
        _ => return None,
    })
}
