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
expiry-default = Wie üblich: { $what }
expiry-never = Ohne Ende

rotate-title = Neues Geheimnis für { $what }
rotate-what = Das Token bleibt dasselbe: sein Name, seine Rechte, sein Ende. Es bekommt ein neues Geheimnis, das Sie einmal sehen.
rotate-former = Das bisherige Geheimnis
rotate-overlap = gilt noch { $what } weiter, damit nichts stehen bleibt, bevor Sie es geändert haben
rotate-at-once = gilt sofort nicht mehr, weil jemand anderes es kennen könnte
rotate-do = Neues Geheimnis machen

secret-title = Kopieren Sie jetzt Ihr Geheimnis
secret-what = Das ist das Geheimnis von { $what }. Es ist nirgends gespeichert: Wenn Sie diese Seite verlassen, kann es niemand mehr zeigen.
secret-label = Geheimnis
secret-copy = Kopieren
secret-copied = Kopiert
secret-use = So benutzen Sie es
secret-as-password = das Geheimnis oben
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
# Die Seiten für Menschen.
nav-devices = Geräte
nav-approvals = Freigaben
notices-title = Darum kümmern
notice-renew = Rechtzeitig ein neues machen
notice-waits = wartet auf die Freigabe durch die Verwaltung.
first-service-title = Ihr erster Dienst
first-service-what = Ein Dienst ist das, wofür es Token gibt: Git, Mail, eine API. Geben Sie ihm einen Namen; alles andere lässt sich später ändern.
first-service-name = Name des Dienstes
first-service-hint = Daraus wird sein Kürzel in Adressen: Aus „Git hosting“ wird git-hosting.
first-service-do = Dienst anlegen
home-member = Für Mitglieder von { $what }, und Sie sind eines
home-no-member = Für Mitglieder von { $what }
seen-by-administrators = Nur für die Verwaltung sichtbar
seen-by-group = Für Mitglieder seiner Gruppe sichtbar
seen-by-realm = Für alle hier
seen-by-public = Für alle sichtbar, auch ohne Anmeldung
service-label = Kürzel
service-seen = Sichtbarkeit
service-group = Darf benutzt werden von
service-group-of = Mitgliedern von { $what }
service-contact = Kontakt
service-rules = Seine Token
service-recipes = So wird ein Token benutzt
service-recipes-what = TOKEN steht, wo Ihr Token hingehört; wenn Sie eines machen, wird es eingesetzt.
service-operators = Für den Betrieb des Dienstes
service-operators-what = Damit fragt der Dienst hier, ob ein Token gilt. Die Anleitungen in der Dokumentation nennen alle Kopfzeilen und Einstellungen.
rule-lifetime = Sie gelten höchstens { $what }.
rule-must-end = Sie haben ein Ende.
rule-most = So viele können Sie gleichzeitig haben: { $what }.
rule-replaces = Ein weiteres tritt an die Stelle des ältesten.
rule-idle = Was so lange nicht benutzt wird, gilt nicht mehr: { $what }.
rule-networks = Sie gelten nur aus diesen Netzen: { $what }.
rule-doors = Sie gelten über: { $what }.
recipe-curl-title = curl
recipe-curl-hint = In einer Shell oder einem Skript.
recipe-git-title = git
recipe-git-hint = Gibt das Token gits Gedächtnis für Zugangsdaten, damit es nicht wieder fragt. Ohne ein solches benutzen Sie es als Passwort.
recipe-mail-title = Mail: Thunderbird und andere
recipe-mail-hint = Das gehört in die Einstellungen des Kontos. Die Server können anders heißen; der Kontakt des Dienstes weiß es.
recipe-network-title = WLAN und VPN
recipe-network-hint = Das gehört in die Einstellungen des Netzes.
recipe-database-title = PostgreSQL: psql
recipe-database-hint = Bewahrt das Token dort auf, wo psql es sucht.
recipe-directory-title = LDAP
recipe-directory-hint = Ein Bind mit Ihrem eigenen Namen.
recipe-nginx-title = nginx
recipe-nginx-hint = Gehört in den server-Block der Seite.
recipe-caddy-title = Caddy
recipe-caddy-hint = Gehört in das Caddyfile.
recipe-freeradius-title = FreeRADIUS
recipe-freeradius-hint = Gehört in die Konfiguration des Moduls rest.
recipe-dovecot-title = Dovecot
recipe-dovecot-hint = Gehört in dovecot-ldap.conf.ext. Der Schlüssel ist der eines Clients mit der Rolle verifier.
new-more = Mehr
new-networks = Nur aus diesen Netzen
new-networks-hint = Adressen oder Blöcke wie 192.0.2.0/24, durch Leerzeichen getrennt. Leer: von überall.
scope-read = Lesen: { $what }
scope-read-all = Lesen
scope-write = Ändern: { $what }
scope-write-all = Ändern
scope-create = Anlegen: { $what }
scope-create-all = Anlegen
scope-delete = Löschen: { $what }
scope-delete-all = Löschen
scope-admin = Verwalten: { $what }
scope-admin-all = Verwalten
scope-everything = Alles: { $what }
scope-everything-all = Alles
secret-qr = Als QR-Code zeigen
qr-label = QR-Code des Geheimnisses
token-by = über { $what }
token-owner = Gehört
token-unlock = Entsperren
token-overlap = Ein früheres Geheimnis gilt noch; es endet
token-older-activity = Was früher geschah
uses-title = Benutzung
uses-of-30-days = { $what } Benutzungen in 30 Tagen
uses-on-days = { $count ->
    [one] an { $count } Tag
   *[other] an { $count } Tagen
}
whence-title = Wer es merken würde: Benutzung der letzten 90 Tage
whence-none = In den letzten 90 Tagen nicht benutzt.
whence-door = Über
whence-from = Zuletzt von
door-api = API
door-forward-auth = Web-Proxy
door-ldap = LDAP
door-oauth = OAuth
door-am = AM
door-sentinel = Sentinel
door-airlock = Airlock
door-validate = validate
door-console = Konsole
door-cli = Kommandozeile
event-token-issued = Erstellt
event-token-rotated = Bekam ein neues Geheimnis
event-token-updated = Bearbeitet
event-token-enabled = Eingeschaltet
event-token-disabled = Ausgeschaltet
event-token-locked = Gesperrt
event-token-unlocked = Entsperrt
event-token-revoked = Widerrufen
event-token-replaced = Von einem neueren ersetzt
event-token-approved = Freigegeben
event-token-denied = Abgelehnt
event-token-derived = Ein engeres Token wurde abgeleitet
event-verify-refused = Ein Versuch wurde abgewiesen
event-authenticator-confirmed = Ein Code wurde gezeigt
approvals-title = Freigaben
approvals-none = Nichts wartet auf Sie.
approval-of = für { $what }
approve-do = Freigeben
deny-do = Ablehnen
devices-title = Geräte
devices-what = Mit den Codes eines Geräts beweisen Sie Anwendungen, dass Sie es sind. Sie fragen danach neben Ihrem Passwort oder statt seiner.
devices-none = Sie haben noch kein Gerät. Unten fügen Sie eines hinzu.
device-new = Gerät hinzufügen
device-name-hint = Woran Sie es erkennen: Telefon, Blatt in der Schublade.
device-method = Was ist es?
device-totp = Eine Authenticator-App, die jede halbe Minute einen neuen Code zeigt
device-backup = Ein Blatt mit Codes zum Ausdrucken, jeder gilt einmal
device-do = Hinzufügen
device-scan = Lesen Sie dieses Bild mit Ihrer Authenticator-App. Es wird nur jetzt gezeigt.
device-seed = Oder tippen Sie dieses Geheimnis ein
device-confirm-title = Zeigen, dass es geht
device-confirm-what = Das Gerät gilt für nichts, bis Sie hier einen Code davon eingegeben haben. Ist sein Geheimnis verloren? Dann entfernen Sie es und fügen es neu hinzu.
device-code = Code, den das Gerät jetzt zeigt
device-confirm = Bestätigen
device-code-wrong = Das ist jetzt kein Code davon, oder er wurde schon benutzt. Warten Sie auf den nächsten und versuchen Sie es noch einmal.
device-unconfirmed = noch nicht bestätigt
device-sheet = Drucken oder schreiben Sie diese Codes auf. Jeder gilt einmal, und sie werden nur jetzt gezeigt.
device-codes = Übrige Codes
device-codes-left = { $what } Codes übrig
device-remove-title = Dieses Gerät entfernen
device-remove-what = Seine Codes gelten sofort nicht mehr, nirgends und endgültig.
device-remove = Endgültig entfernen
method-totp = Authenticator-App
method-hotp = Codegenerator mit Knopf
method-backup = Blatt mit Codes
method-yubikey = YubiKey
method-email = Codes per Mail
home-join = Beitreten
home-leave = Austreten
