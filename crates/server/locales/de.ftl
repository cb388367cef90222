# Was die Konsole auf Deutsch sagt. Dieselben Namen stehen in jeder anderen Sprache.

skip = Zum Inhalt
navigation = Seiten
nav-home = Meine Token
nav-admin = Personen
nav-account = Konto
nav-sign-out = Abmelden
go-home = Zur ersten Seite
cancel = Abbrechen
older = Ältere Token

sign-in-title = Anmelden
sign-in-do = Anmelden
sign-in-refused = Benutzername oder Passwort ist falsch.
sign-in-hint = Noch kein Passwort, oder vergessen? Wer die Konsole verwaltet, kann Ihnen einen Link machen, mit dem Sie eines wählen.
field-username = Benutzername
field-password = Passwort
field-password-again = Passwort, noch einmal
field-password-former = Jetziges Passwort
field-password-new = Neues Passwort
field-display-name = Voller Name

insecure-title = Über diese Verbindung wird niemand angemeldet
insecure-why = Diese Seite kam über unverschlüsseltes HTTP. Ein Passwort oder eine Sitzung könnte unterwegs jeder mitlesen, darum nimmt die Konsole hier keines an.
insecure-tls = Für die Verwaltung: Geben Sie dem Server ein Zertifikat (server.tls.cert und server.tls.key) und öffnen Sie die Konsole mit https.
insecure-proxy = Hinter einem Reverse Proxy mit TLS: Tragen Sie dessen Adresse in server.trusted_proxies ein, lassen Sie ihn X-Forwarded-Proto senden, und setzen Sie server.public_url.
insecure-local = Auf der Maschine selbst geht es ohne TLS, unter http://localhost und dem Port des Servers.

foreign-form-title = Dieses Formular wurde nicht angenommen
foreign-form-why = Es kam nicht von einer Seite dieser Konsole, oder Sie haben sich neu angemeldet, seit Sie es geöffnet haben.
foreign-form-what = Gehen Sie zurück, laden Sie die Seite neu und senden Sie das Formular noch einmal.

problem-unavailable = Gerade nicht möglich
problem-unavailable-what = Der Server erreicht seine Datenbank nicht oder ist sehr beschäftigt. Soweit bekannt, ist nichts geschehen; versuchen Sie es gleich noch einmal.
problem-not-found = Das gibt es nicht
problem-not-found-what = Es existiert nicht, oder Sie dürfen es nicht sehen.
problem-forbidden = Das dürfen Sie nicht
problem-refused = Das wurde nicht getan

setup-title = Wählen Sie Ihr Passwort
setup-what = Sie haben einen Link bekommen. Er gilt einmal. Wenn Sie weitergehen, sagt diese Seite, wofür er ist; verbraucht wird er dadurch nicht.
setup-link = Der Link, oder was hinter seinem # steht
setup-do = Weiter
first-title = Die erste Verwaltung
first-what = Es gibt noch kein Konto. Wer dieses Formular abschließt, verwaltet die ganze Installation.
password-title = Wählen Sie Ihr Passwort
password-do = Passwort setzen und anmelden
password-rules = Mindestens { $what } Zeichen. Ein paar Wörter hintereinander sind leicht zu merken und schwer zu raten.
password-too-short = Das Passwort braucht mindestens { $what } Zeichen.
password-too-long = Das Passwort hat mehr als { $what } Bytes.
password-common = Dieses Passwort ist eines von denen, die zuerst probiert werden. Wählen Sie ein anderes.
password-holds-name = Das Passwort darf den Benutzernamen nicht enthalten.
password-refused-title = Dieses Passwort wird nicht angenommen
password-former-wrong = Das jetzige Passwort ist falsch.
passwords-differ = Die beiden Passwörter sind nicht gleich.
password-change-title = Passwort ändern
password-change-what = Dabei enden alle Ihre anderen Sitzungen.
password-change-do = Passwort ändern
password-changed = Ihr Passwort ist geändert, und Ihre anderen Sitzungen sind beendet.
username-refused = Das ist kein Benutzername: { $what }
link-ended-title = Dieser Link geht nicht
link-unknown = Er ist keiner von uns. Vielleicht fehlt ein Stück.
link-used = Er wurde schon benutzt. Wenn nicht von Ihnen, sagen Sie es gleich Ihrer Verwaltung.
link-expired = Seine Zeit ist um. Bitten Sie um einen neuen.
link-superseded = Er wurde ersetzt: Es gibt schon eine Verwaltung, oder die Person gibt es nicht mehr.

home-title = Meine Token
home-empty = Es gibt noch keinen Dienst, für den Sie ein Token haben könnten.
home-empty-admin = Dienste entstehen über die API und die Kommandozeile: counterfoil service create.
home-no-token = Sie haben kein Token für diesen Dienst.
home-new = Neues Token
home-new-for = für { $what }
home-open = Öffnen
home-not-usable = Für diesen Dienst können Sie kein Token haben.
home-contact = Kontakt: { $what }
home-ended = Beendet
home-other = Andere Token

kind-personal_access_token = Persönliches Zugriffstoken
kind-service_token = Anwendungspasswort
kind-registration_token = Registrierungstoken
kind-auth_token = Gerät
kind-derived_token = Abgeleitetes Token
kind-client_key = Client-Schlüssel
kind-generic = Token
kind-link = Link
kind-access_token = Access Token
state-active = aktiv
state-pending = wartet auf Freigabe
state-not_yet_valid = noch nicht gültig
state-disabled = ausgeschaltet
state-locked = gesperrt
state-expired = abgelaufen
state-exhausted = aufgebraucht
state-revoked = widerrufen
user-active = aktiv
user-suspended = ausgesetzt
user-expired = ausgeschieden

token-last-used = zuletzt benutzt
token-never-used = nie benutzt
token-from = von { $what }
token-ends = endet
token-ended = endete
token-no-end = ohne Ende
token-kind = Art
token-id = Id
token-services = Für
token-every-service = jeden Dienst
token-scopes = Rechte
token-networks = Netze
token-created = Erstellt
token-end = Endet
token-last-use = Letzte Benutzung
token-uses = Benutzungen
token-refusals = Abgewiesene Versuche
token-rotate = Neues Geheimnis
token-enable = Einschalten
token-disable = Ausschalten
token-revoke = Widerrufen
token-lock = Sperren
token-lock-title = Dieses Token sperren
token-lock-what = Ein gesperrtes Token gilt nirgends, und nur die Verwaltung kann es entsperren. Um es eine Weile anzuhalten, schalten Sie es stattdessen aus.
token-revoked-because = Widerrufen: { $what }
token-activity = Was geschah
token-no-activity = Noch ist nichts geschehen.
event-refused = abgewiesen

revoke-title = { $what } widerrufen
revoke-what = Ein widerrufenes Token gilt sofort nicht mehr, nirgends und endgültig. Das träfe:
revoke-services = Alles, was es benutzt für: { $what }
revoke-derived = Daraus abgeleitete Token, die mit ihm enden: { $what }
revoke-drawn = Damit angemeldete Geräte, die weiter gelten: { $what }
revoke-reason = Grund (andere können ihn lesen)
revoke-do = Endgültig widerrufen

new-title = Neues Token für { $what }
new-name = Name
new-name-hint = Wo Sie es benutzen werden, damit Sie es wiedererkennen: Laptop, Telefon, Backup-Skript.
new-kind = Wofür ist es?
new-kind-password = Ein Programm, das nach Benutzername und Passwort fragt, etwa Mail oder WLAN
new-kind-token = Ein Skript, git oder eine API
new-expires = Endet nach
new-scopes = Darf benutzt werden für
new-scopes-hint = Namen von Rechten, durch Leerzeichen getrennt. Lassen Sie es leer, wenn man Ihnen keine genannt hat.
new-approval = Ein neues Token für diesen Dienst gilt, sobald die Verwaltung es freigegeben hat.
new-do = Token machen
expiry-default = Der üblichen Zeit
expiry-never = Ohne Ende

rotate-title = Neues Geheimnis für { $what }
rotate-what = Das Token bleibt dasselbe: sein Name, seine Rechte, sein Ende. Es bekommt ein neues Geheimnis, das Sie einmal sehen.
rotate-former = Das bisherige Geheimnis
rotate-overlap = gilt noch eine Weile, damit nichts stehen bleibt, bevor Sie es geändert haben
rotate-at-once = gilt sofort nicht mehr, weil jemand anderes es kennen könnte
rotate-do = Neues Geheimnis machen

secret-title = Kopieren Sie jetzt Ihr Geheimnis
secret-what = Das ist das Geheimnis von { $what }. Es ist nirgends gespeichert: Wenn Sie diese Seite verlassen, kann es niemand mehr zeigen.
secret-label = Geheimnis
secret-copy = Kopieren
secret-copied = Kopiert
secret-use = So benutzen Sie es
secret-as-password = das Geheimnis oben
secret-as-bearer = In einem Skript oder einer API senden Sie es als Bearer Token:
secret-saved = Ich habe es gespeichert

account-title = Konto
sessions-title = Wo Sie angemeldet sind
session-this = dieser Browser
session-began = angemeldet
session-end = Dort abmelden
session-end-all = Überall abmelden
session-unknown-browser = Unbekannter Browser

admin-title = Personen
invite-title = Jemanden hereinlassen
invite-what = Legt eine neue Person an und macht einen Link, mit dem sie ihr Passwort wählt. Niemand sonst kennt es.
invite-do = Person anlegen und Link machen
people-title = Alle
people-search = Name beginnt mit
people-search-do = Suchen
people-none = So heißt niemand.
people-link = Anmelde-Link machen
people-more = Weitere Personen
link-title = Anmelde-Link für { $what }
link-what = Senden Sie diesen Link nur dieser Person: Wer ihn benutzt, wählt ihr Passwort. Er gilt einmal, auch anstelle eines vergessenen Passworts, und wird nur jetzt gezeigt.
link-label = Link
link-back = Zurück zu allen

time-now = gerade eben
time-in-minutes = in { $count ->
    [one] { $count } Minute
   *[other] { $count } Minuten
}
time-in-hours = in { $count ->
    [one] { $count } Stunde
   *[other] { $count } Stunden
}
time-in-days = in { $count ->
    [one] { $count } Tag
   *[other] { $count } Tagen
}
time-minutes-ago = vor { $count ->
    [one] { $count } Minute
   *[other] { $count } Minuten
}
time-hours-ago = vor { $count ->
    [one] { $count } Stunde
   *[other] { $count } Stunden
}
time-days-ago = vor { $count ->
    [one] { $count } Tag
   *[other] { $count } Tagen
}
span-minutes = { $count ->
    [one] { $count } Minute
   *[other] { $count } Minuten
}
span-hours = { $count ->
    [one] { $count } Stunde
   *[other] { $count } Stunden
}
span-days = { $count ->
    [one] { $count } Tag
   *[other] { $count } Tage
}

# Anmelden auf das Wort eines anderen, und sich erneut ausweisen
sign-in-with = Anmelden mit { $what }
sign-in-as = Weiter als { $what }
leaving-title = Weiter zu { $what }
leaving-what = Ihr Browser geht von selbst weiter. Wenn Sie sich dort angemeldet haben, kommen Sie hierher zurück.
leaving-do = Jetzt weiter
provider-away-title = Die zentrale Anmeldung antwortet nicht
provider-away-why = Sie wurden nicht abgewiesen: Wer hier die Leute anmeldet, ist gerade nicht zu erreichen.
provider-away-what = Versuchen Sie es gleich noch einmal. Wenn Sie hier ein Passwort haben, können Sie sich damit anmelden.
provider-refused-title = Damit sind Sie nicht angemeldet
provider-refused-why = Womit Sie zurückkamen, wurde schon gebraucht, ist zu alt oder war für einen anderen Browser. Gehen Sie zurück und melden Sie sich neu an; die Verwaltung findet den Grund unter den Ereignissen.
not-admitted-title = Für Sie gibt es hier noch keinen Zugang
not-admitted-why = Sie sind, wer Sie sagen; aber unter diesem Namen wird hier niemand erwartet, oder der Name gehört schon jemandem.
not-admitted-what = Bitten Sie die Verwaltung, Sie einzulassen; sie findet den Versuch unter den Ereignissen.
step-up-title = Sind es noch Sie?
step-up-what = Bevor das geschieht, weisen Sie sich noch einmal aus. Von Ihren Eingaben geht nichts verloren.
step-up-wrong = Das Passwort ist falsch.
step-up-do = Bestätigen und weiter
step-up-with = Bestätigen mit { $what }
step-up-none = Sie haben hier kein Passwort, mit dem Sie sich ausweisen könnten. Bitten Sie die Verwaltung um einen Anmeldelink.
go-on-title = Danke, Sie sind es
go-on-what = Nun geschieht, worum Sie gebeten hatten.
go-on-do = Weiter
session-by-password = Mit Passwort
session-by-oidc = Mit zentraler Anmeldung
session-by-proxy = Durch den vorgeschalteten Proxy
