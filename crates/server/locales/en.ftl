# What the console says in English. The same names stand in every other language.

skip = Skip to content
navigation = Pages
nav-home = My tokens
nav-admin = People
nav-account = Account
nav-sign-out = Sign out
go-home = To the first page
cancel = Cancel
older = Older tokens

sign-in-title = Sign in
sign-in-do = Sign in
sign-in-refused = User name or password is wrong.
sign-in-hint = No password yet, or forgotten? An administrator can make a link for you by which you choose one.
field-username = User name
field-password = Password
field-password-again = Password, once more
field-password-former = Present password
field-password-new = New password
field-display-name = Full name

insecure-title = Signing in is refused on this connection
insecure-why = This page came over plain HTTP. A password or session sent over it could be read by everybody on the way, so the console does not take one.
insecure-tls = For the administrator: give the server a certificate (server.tls.cert and server.tls.key) and open the console by https.
insecure-proxy = Behind a reverse proxy that speaks TLS: name its address in server.trusted_proxies, let it send X-Forwarded-Proto, and set server.public_url.
insecure-local = On the machine itself the console works without TLS, at http://localhost and the server's port.

foreign-form-title = This form was not taken
foreign-form-why = It did not come from a page of this console, or you have signed in anew since you opened it.
foreign-form-what = Go back to the page, load it again, and send the form once more.

problem-unavailable = Not possible just now
problem-unavailable-what = The server cannot reach its database or is very busy. Nothing is known to have happened; try again in a moment.
problem-not-found = There is no such thing
problem-not-found-what = It does not exist, or it is not yours to see.
problem-forbidden = This is not yours to do
problem-refused = This was not done

setup-title = Choose your password
setup-what = You were given a link. It can be used once. When you go on, this page tells what it is for; nothing is used up by that.
setup-link = The link, or what stands behind its #
setup-do = Go on
first-title = The first administrator
first-what = There is no account yet. Whoever finishes this form administers the whole installation.
password-title = Choose your password
password-do = Set password and sign in
password-rules = At least { $what } characters. A few words in a row are easy to remember and hard to guess.
password-too-short = The password needs at least { $what } characters.
password-too-long = The password has more than { $what } bytes.
password-common = This password is one of those that are tried first. Choose another one.
password-holds-name = The password must not hold the user name.
password-refused-title = This password is not taken
password-former-wrong = The present password is wrong.
passwords-differ = The two passwords are not the same.
password-change-title = Change password
password-change-what = All your other sessions end when you do.
password-change-do = Change password
password-changed = Your password is changed, and your other sessions have ended.
username-refused = This is no user name: { $what }
link-ended-title = This link cannot be used
link-unknown = It is none of ours. Perhaps a part of it is missing.
link-used = It was used before. If not by you, tell your administrator at once.
link-expired = Its time is over. Ask for a new one.
link-superseded = It has been replaced: there is an administrator already, or the person is gone.

home-title = My tokens
home-empty = There is no service yet that you could have a token for.
home-no-token = You have no token for this service.
home-new = New token
home-new-for = for { $what }
home-open = Open
home-not-usable = You cannot have a token for this service.
home-contact = Contact: { $what }
home-ended = Ended
home-other = Other tokens

kind-personal_access_token = Personal access token
kind-service_token = Application password
kind-registration_token = Registration token
kind-auth_token = Device
kind-derived_token = Derived token
kind-client_key = Client key
kind-generic = Token
kind-link = Link
kind-access_token = Access token
state-active = active
state-pending = waits for approval
state-not_yet_valid = not yet valid
state-disabled = switched off
state-locked = locked
state-expired = expired
state-exhausted = used up
state-revoked = revoked
user-active = active
user-suspended = suspended
user-expired = left

token-last-used = last used
token-never-used = never used
token-from = from { $what }
token-ends = ends
token-ended = ended
token-no-end = no end
token-kind = Kind
token-id = Id
token-services = For
token-every-service = every service
token-scopes = Scopes
token-networks = Networks
token-created = Created
token-end = Ends
token-last-use = Last use
token-uses = Uses
token-refusals = Refused attempts
token-rotate = New secret
token-enable = Switch on
token-disable = Switch off
token-revoke = Revoke
token-lock = Lock
token-lock-title = Lock this token
token-lock-what = A locked token works nowhere, and only an administrator can unlock it. To stop it for a while, switch it off instead.
token-revoked-because = Revoked: { $what }
token-activity = Activity
token-no-activity = Nothing has happened yet.
event-refused = refused

revoke-title = Revoke { $what }
revoke-what = A revoked token stops working at once, everywhere, and for good. This would be hit:
revoke-services = Everything that uses it for: { $what }
revoke-derived = Tokens derived from it, which end with it: { $what }
revoke-drawn = Devices that were drawn from it and live on: { $what }
revoke-reason = Reason (others may read it)
revoke-do = Revoke for good

new-title = New token for { $what }
new-name = Name
new-name-hint = Where you will use it, so that you know it again: laptop, phone, backup script.
new-kind = What is it for?
new-kind-password = A program that asks for user name and password, such as mail or Wi-Fi
new-kind-token = A script, git or an API
new-expires = Ends after
new-scopes = May be used for
new-scopes-hint = Names of scopes, separated by spaces. Leave it empty if you were told none.
new-approval = A new token for this service works once an administrator has approved it.
new-do = Make token
expiry-default = The usual time: { $what }
expiry-never = No end

rotate-title = New secret for { $what }
rotate-what = The token stays the same: its name, rights and end. It gets a new secret, which you are shown once.
rotate-former = The former secret
rotate-overlap = goes on working for { $what }, so that nothing stops before you changed it
rotate-at-once = stops at once, because somebody else may know it
rotate-do = Make new secret

secret-title = Copy your secret now
secret-what = This is the secret of { $what }. It is stored nowhere: when you leave this page, nobody can show it again.
secret-label = Secret
secret-copy = Copy
secret-copied = Copied
secret-use = How to use it
secret-as-password = the secret above
secret-saved = I have saved it

account-title = Account
sessions-title = Where you are signed in
session-this = this browser
session-began = signed in
session-end = Sign out there
session-end-all = Sign out everywhere
session-unknown-browser = Unknown browser

admin-title = People
invite-title = Let somebody in
invite-what = Makes a record for a new person and a link by which they choose their password. Nobody but them knows it.
invite-do = Add person and make link
people-title = Everybody
people-search = Name begins with
people-search-do = Search
people-none = Nobody is called that.
people-link = Make sign-in link
people-more = More people
link-title = Sign-in link for { $what }
link-what = Send this link to that person and nobody else: whoever uses it chooses their password. It can be used once, also in place of a password that was forgotten, and it is shown only now.
link-label = Link
link-back = Back to everybody

time-now = just now
time-in-minutes = in { $count ->
    [one] { $count } minute
   *[other] { $count } minutes
}
time-in-hours = in { $count ->
    [one] { $count } hour
   *[other] { $count } hours
}
time-in-days = in { $count ->
    [one] { $count } day
   *[other] { $count } days
}
time-minutes-ago = { $count ->
    [one] { $count } minute ago
   *[other] { $count } minutes ago
}
time-hours-ago = { $count ->
    [one] { $count } hour ago
   *[other] { $count } hours ago
}
time-days-ago = { $count ->
    [one] { $count } day ago
   *[other] { $count } days ago
}
span-minutes = { $count ->
    [one] { $count } minute
   *[other] { $count } minutes
}
span-hours = { $count ->
    [one] { $count } hour
   *[other] { $count } hours
}
span-days = { $count ->
    [one] { $count } day
   *[other] { $count } days
}

# Signing in by somebody else's word, and proving anew who one is
sign-in-with = Sign in with { $what }
sign-in-as = Go on as { $what }
leaving-title = On to { $what }
leaving-what = Your browser goes on by itself. You come back here when you have signed in there.
leaving-do = Go on now
provider-away-title = Single sign-on is not answering
provider-away-why = You were not refused: whoever signs people in for this site cannot be asked just now.
provider-away-what = Try again in a moment. If you have a password here, you can sign in with that.
provider-refused-title = This did not sign you in
provider-refused-why = What you came back with was used before, is too old, or was meant for another browser. Go back and sign in again; administrators find the reason among the events.
not-admitted-title = There is no way in for you yet
not-admitted-why = You are who you say, but nobody here is expected by that name, or the name is somebody else's already.
not-admitted-what = Ask an administrator to let you in; they find the attempt among the events.
step-up-title = Is it still you?
step-up-what = Before this is done, show once more who you are. Nothing of what you entered is lost.
step-up-wrong = The password is wrong.
step-up-do = Confirm and go on
step-up-with = Confirm with { $what }
step-up-none = You have no password here to show it with. Ask an administrator for a sign-in link.
go-on-title = Thank you, it is you
go-on-what = Now what you had asked for is done.
go-on-do = Go on
session-by-password = By password
session-by-oidc = By single sign-on
session-by-proxy = By the proxy in front
# The pages for people.
nav-devices = Devices
nav-approvals = Approvals
notices-title = To look after
notice-renew = Make another one in time
notice-waits = waits until an administrator approves it.
first-service-title = Your first service
first-service-what = A service is what people get tokens for: git, mail, an API. Give it a name; everything else can be changed later.
first-service-name = Name of the service
first-service-hint = Its label in addresses is made from it: “Git hosting” becomes git-hosting.
first-service-do = Make service
home-member = For members of { $what }, of which you are one
home-no-member = For members of { $what }
seen-by-administrators = Shown to administrators only
seen-by-group = Shown to members of its group
seen-by-realm = For everybody here
seen-by-public = Shown to everybody, also without signing in
service-label = Label
service-seen = Visible
service-group = May be used by
service-group-of = members of { $what }
service-contact = Contact
service-rules = Its tokens
service-recipes = How a token is used
service-recipes-what = TOKEN stands where your token goes; when you make one, it is filled in.
service-operators = For whoever runs the service
service-operators-what = This makes the service ask here whether a token is good. The guides in the documentation have every header and option.
rule-lifetime = They last { $what } at most.
rule-must-end = They have an end.
rule-most = You can have this many at a time: { $what }.
rule-replaces = One more takes the place of the oldest one.
rule-idle = What is not used for { $what } stops working.
rule-networks = They work from these networks only: { $what }.
rule-doors = They work through: { $what }.
recipe-curl-title = curl
recipe-curl-hint = In a shell or a script.
recipe-git-title = git
recipe-git-hint = Hands the token to git’s credential helper, so that it does not ask again. Without a helper, use it as the password.
recipe-mail-title = Mail: Thunderbird and others
recipe-mail-hint = What goes into the settings of the account. Servers may be called otherwise; the contact of the service knows.
recipe-network-title = Wi-Fi and VPN
recipe-network-hint = What goes into the settings of the network.
recipe-database-title = PostgreSQL: psql
recipe-database-hint = Keeps the token where psql looks for it.
recipe-directory-title = LDAP
recipe-directory-hint = A bind with your own name.
recipe-nginx-title = nginx
recipe-nginx-hint = Goes into the server block of the site.
recipe-caddy-title = Caddy
recipe-caddy-hint = Goes into the Caddyfile.
recipe-freeradius-title = FreeRADIUS
recipe-freeradius-hint = Goes into the configuration of the module rest.
recipe-dovecot-title = Dovecot
recipe-dovecot-hint = Goes into dovecot-ldap.conf.ext. The key is the one of a client with the role verifier.
new-more = More
new-networks = Only from these networks
new-networks-hint = Addresses or blocks such as 192.0.2.0/24, separated by blanks. Empty: from everywhere.
scope-read = Read: { $what }
scope-read-all = Read
scope-write = Change: { $what }
scope-write-all = Change
scope-create = Add: { $what }
scope-create-all = Add
scope-delete = Delete: { $what }
scope-delete-all = Delete
scope-admin = Administer: { $what }
scope-admin-all = Administer
scope-everything = Everything: { $what }
scope-everything-all = Everything
secret-qr = Show as a QR code
qr-label = QR code of the secret
token-by = by { $what }
token-owner = Owner
token-unlock = Unlock
token-overlap = A former secret still works; it stops
token-older-activity = Older activity
uses-title = Use
uses-of-30-days = { $what } uses in 30 days
uses-on-days = { $count ->
    [one] on { $count } day
   *[other] on { $count } days
}
whence-title = Who would notice: use of the last 90 days
whence-none = Not used in the last 90 days.
whence-door = Through
whence-from = Lately from
door-api = API
door-forward-auth = web proxy
door-ldap = LDAP
door-oauth = OAuth
door-am = AM
door-sentinel = Sentinel
door-airlock = Airlock
door-validate = validate
door-console = console
door-cli = command line
event-token-issued = Made
event-token-rotated = Got a new secret
event-token-updated = Edited
event-token-enabled = Switched on
event-token-disabled = Switched off
event-token-locked = Locked
event-token-unlocked = Unlocked
event-token-revoked = Revoked
event-token-replaced = Replaced by a newer one
event-token-approved = Approved
event-token-denied = Denied
event-token-derived = A narrower token was derived
event-verify-refused = An attempt was refused
event-authenticator-confirmed = A code was shown
approvals-title = Approvals
approvals-none = Nothing waits for you.
approval-of = for { $what }
approve-do = Approve
deny-do = Deny
devices-title = Devices
devices-what = With the codes of a device you prove to applications that it is you. They ask for one beside your password or in its place.
devices-none = You have no device yet. Add one below.
device-new = Add a device
device-name-hint = What you know it by: phone, sheet in the drawer.
device-method = What is it?
device-totp = An authenticator app, which shows a new code every half minute
device-backup = A sheet of codes to print, each good once
device-do = Add
device-scan = Read this picture with your authenticator app. It is shown only now.
device-seed = Or type this secret into it
device-confirm-title = Show that it works
device-confirm-what = The device is good for nothing until you have typed a code of it here. Is its secret lost? Then remove it and add it anew.
device-code = Code that the device shows now
device-confirm = Confirm
device-code-wrong = This is not a code of it now, or it was used before. Wait for the next one and try again.
device-unconfirmed = not yet confirmed
device-sheet = Print or write down these codes. Each is good once, and they are shown only now.
device-codes = Codes left
device-codes-left = { $what } codes left
device-remove-title = Remove this device
device-remove-what = Its codes stop working at once, everywhere, and for good.
device-remove = Remove for good
method-totp = Authenticator app
method-hotp = Code generator with a button
method-backup = Sheet of codes
method-yubikey = YubiKey
method-email = Codes by mail
home-join = Join
home-leave = Leave
