--
-- PostgreSQL database dump
--

SET statement_timeout = 0;
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);

CREATE TABLE public.cm_co_services (
    id integer NOT NULL,
    co_id integer,
    cou_id integer,
    name character varying(256),
    description character varying(256),
    short_label character varying(256),
    co_group_id integer,
    cluster_id integer,
    service_url character varying(256),
    service_label character varying(256),
    contact_email character varying(256),
    logo_url character varying(256),
    entitlement_uri character varying(256),
    visibility character varying(256),
    identifier_type character varying(256),
    authenticator_id integer,
    status character varying(256),
    created timestamp without time zone,
    modified timestamp without time zone,
    co_service_id integer,
    revision integer,
    deleted boolean,
    actor_identifier character varying(256)
);

ALTER TABLE public.cm_co_services OWNER TO registry;

CREATE TABLE public.cm_co_service_token_settings (
    id integer NOT NULL,
    co_service_id integer,
    enabled boolean,
    token_type character varying(256),
    created timestamp without time zone,
    modified timestamp without time zone
);

ALTER TABLE public.cm_co_service_token_settings OWNER TO registry;

CREATE TABLE public.cm_co_service_tokens (
    id integer NOT NULL,
    co_service_id integer,
    co_person_id integer,
    token character varying(256),
    token_type character varying(256),
    created timestamp without time zone,
    modified timestamp without time zone
);

ALTER TABLE public.cm_co_service_tokens OWNER TO registry;

CREATE TABLE public.cm_password_authenticators (
    id integer NOT NULL,
    authenticator_id integer,
    password_source character varying(256),
    min_length integer,
    max_length integer,
    format_crypt_php boolean,
    format_plaintext boolean,
    format_sha1_ldap boolean,
    created timestamp without time zone,
    modified timestamp without time zone
);

ALTER TABLE public.cm_password_authenticators OWNER TO registry;

CREATE TABLE public.cm_authenticator_statuses (
    id integer NOT NULL,
    authenticator_id integer,
    co_person_id integer,
    locked boolean,
    created timestamp without time zone,
    modified timestamp without time zone
);

ALTER TABLE public.cm_authenticator_statuses OWNER TO registry;

CREATE TABLE public.cm_passwords (
    id integer NOT NULL,
    password_authenticator_id integer,
    co_person_id integer,
    password character varying(256),
    password_type character varying(256),
    created timestamp without time zone,
    modified timestamp without time zone,
    password_id integer,
    revision integer,
    deleted boolean,
    actor_identifier character varying(256)
);

ALTER TABLE public.cm_passwords OWNER TO registry;

CREATE TABLE public.cm_co_people (
    id integer NOT NULL,
    co_id integer,
    status character varying(256),
    created timestamp without time zone,
    modified timestamp without time zone,
    co_person_id integer,
    revision integer,
    deleted boolean,
    actor_identifier character varying(256)
);

ALTER TABLE public.cm_co_people OWNER TO registry;

CREATE TABLE public.cm_identifiers (
    id integer NOT NULL,
    identifier character varying(256),
    type character varying(256),
    login boolean,
    status character varying(256),
    co_person_id integer,
    org_identity_id integer,
    created timestamp without time zone,
    modified timestamp without time zone,
    identifier_id integer,
    revision integer,
    deleted boolean,
    actor_identifier character varying(256)
);

ALTER TABLE public.cm_identifiers OWNER TO registry;

CREATE TABLE public.cm_names (
    id integer NOT NULL,
    honorific character varying(256),
    given character varying(256),
    family character varying(256),
    type character varying(256),
    co_person_id integer,
    primary_name boolean,
    name_id integer,
    revision integer,
    deleted boolean
);

ALTER TABLE public.cm_names OWNER TO registry;

CREATE TABLE public.cm_co_groups (
    id integer NOT NULL,
    co_id integer,
    name character varying(256),
    description character varying(256),
    open boolean,
    status character varying(256),
    co_group_id integer,
    revision integer,
    deleted boolean
);

ALTER TABLE public.cm_co_groups OWNER TO registry;

CREATE TABLE public.cm_co_group_members (
    id integer NOT NULL,
    co_group_id integer,
    co_person_id integer,
    member boolean,
    owner boolean,
    valid_from timestamp without time zone,
    valid_through timestamp without time zone,
    co_group_member_id integer,
    revision integer,
    deleted boolean
);

ALTER TABLE public.cm_co_group_members OWNER TO registry;

CREATE TABLE public.cm_cous (
    id integer NOT NULL,
    co_id integer,
    name character varying(256),
    description character varying(256),
    parent_id integer,
    lft integer,
    rght integer,
    created timestamp without time zone,
    modified timestamp without time zone,
    cou_id integer,
    revision integer,
    deleted boolean,
    actor_identifier character varying(256)
);

ALTER TABLE public.cm_cous OWNER TO registry;

CREATE TABLE public.cm_co_person_roles (
    id integer NOT NULL,
    co_person_id integer,
    cou_id integer,
    affiliation character varying(256),
    status character varying(256),
    valid_from timestamp without time zone,
    valid_through timestamp without time zone,
    created timestamp without time zone,
    modified timestamp without time zone,
    co_person_role_id integer,
    revision integer,
    deleted boolean,
    actor_identifier character varying(256)
);

ALTER TABLE public.cm_co_person_roles OWNER TO registry;

CREATE TABLE public.cm_api_users (
    id integer NOT NULL,
    username character varying(256),
    password character varying(256)
);

ALTER TABLE public.cm_api_users OWNER TO registry;

COPY public.cm_co_services (id, co_id, cou_id, name, description, short_label, co_group_id, cluster_id, service_url, service_label, contact_email, logo_url, entitlement_uri, visibility, identifier_type, authenticator_id, status, created, modified, co_service_id, revision, deleted, actor_identifier) FROM stdin;
7	2	\N	Wiki	Where we write; it's shared	Wiki	\N	\N	https://wiki.myvo.org/	\N	wiki@myvo.org	https://wiki.myvo.org/logo.png	\N	CP	\N	\N	A	2018-03-01 10:00:00	2018-03-02 10:00:00	\N	1	f	admin@myvo.org
8	2	\N	Mail (IMAP)	\N	imap	\N	\N	imaps://imap.myvo.org/	\N	\N	\N	\N	P	uid	3	A	2020-06-01 10:00:00	2020-06-01 10:00:00	\N	0	f	admin@myvo.org
9	2	\N	Cluster	High performance computing	hpc	12	\N	ssh://login.myvo.org	\N	hpc@myvo.org	\N	https://myvo.org/entitlement/hpc	CG	\N	3	A	2020-06-01 10:00:00	2020-06-01 10:00:00	\N	0	f	admin@myvo.org
10	2	\N	Wikki	\N	wikki	\N	\N	\N	\N	\N	\N	\N	CA	\N	\N	A	2018-03-01 10:00:00	2018-03-01 10:00:00	7	0	f	admin@myvo.org
11	2	6	Attic	\N	attic	\N	\N	\N	\N	\N	\N	\N	CA	\N	\N	S	2018-03-01 10:00:00	2018-03-01 10:00:00	\N	0	f	admin@myvo.org
\.


COPY public.cm_co_service_token_settings (id, co_service_id, enabled, token_type, created, modified) FROM stdin;
1	7	t	15	2018-03-01 10:00:00	2018-03-01 10:00:00
2	11	f	08	2018-03-01 10:00:00	2018-03-01 10:00:00
\.


COPY public.cm_co_service_tokens (id, co_service_id, co_person_id, token, token_type, created, modified) FROM stdin;
1	7	58	Vb3kT9xQm2LrZ7p	15	2018-04-01 10:00:00	2018-05-01 10:00:00
2	7	59	q7Rt2LmX	08	2018-04-01 10:00:00	2018-04-01 10:00:00
3	7	58	Zk4mW8vBn3TsY6d	15	2018-04-01 10:00:00	2018-04-01 10:00:00
4	7	60	rasmuslerdorf	15	2018-04-01 10:00:00	2018-04-01 10:00:00
5	7	61	Hs8dK2jWq5NbX9c	15	2018-04-01 10:00:00	2018-04-01 10:00:00
\.


COPY public.cm_password_authenticators (id, authenticator_id, password_source, min_length, max_length, format_crypt_php, format_plaintext, format_sha1_ldap, created, modified) FROM stdin;
4	3	AG	\N	16	t	f	t	2020-06-01 10:00:00	2020-06-01 10:00:00
\.


COPY public.cm_authenticator_statuses (id, authenticator_id, co_person_id, locked, created, modified) FROM stdin;
1	3	65	t	2021-01-01 10:00:00	2021-01-01 10:00:00
\.


COPY public.cm_passwords (id, password_authenticator_id, co_person_id, password, password_type, created, modified, password_id, revision, deleted, actor_identifier) FROM stdin;
21	4	58	$2y$10$Kq3vXo9TzLr5WmYb1Hc7OuhBWLgujBobhJ4Dtyb/nj6sgaM/v5j9e	CR	2021-02-03 04:05:06	2021-02-03 04:05:06	\N	0	f	admin@myvo.org
22	4	58	RH7cQP/wcSh+hYxkh+uS3+tweXs0YzFl	SH	2021-02-03 04:05:06	2021-02-03 04:05:06	\N	0	f	admin@myvo.org
23	4	59	$2y$10$Lr5WmYb1Hc7Kq3vXo9TzOeyPz7amFGETXoZAJvOO4AgJ1w65nFp3e	CR	2021-02-03 04:05:06	2021-02-03 04:05:06	\N	0	f	admin@myvo.org
24	4	64	d8sk-4vyp-q3mh-7wte	NO	2021-02-03 04:05:06	2021-02-03 04:05:06	\N	0	f	admin@myvo.org
25	4	65	9Y+DoWNI2dTAeJav5kwWiB+jQcphMDdi	SH	2021-02-03 04:05:06	2021-02-03 04:05:06	\N	0	f	admin@myvo.org
26	4	60	Y5DXf/Ei7+QfofND3j9aLIP9tTU3N2Qy	SH	2021-02-03 04:05:06	2021-02-03 04:05:06	\N	0	f	admin@myvo.org
27	4	58	$argon2id$v=19$m=65536	EX	2021-02-03 04:05:06	2021-02-03 04:05:06	\N	0	f	admin@myvo.org
28	4	58	old	NO	2020-02-03 04:05:06	2020-02-03 04:05:06	22	0	t	admin@myvo.org
\.


COPY public.cm_co_people (id, co_id, status, created, modified, co_person_id, revision, deleted, actor_identifier) FROM stdin;
58	2	A	2018-01-01 10:00:00	2018-01-01 10:00:00	\N	0	f	admin@myvo.org
59	2	GP	2018-01-01 10:00:00	2018-01-01 10:00:00	\N	0	f	admin@myvo.org
60	2	S	2018-01-01 10:00:00	2018-01-01 10:00:00	\N	0	f	admin@myvo.org
61	2	A	2018-01-01 10:00:00	2018-01-01 10:00:00	\N	0	f	admin@myvo.org
62	2	A	2018-01-01 10:00:00	2018-01-01 10:00:00	\N	0	t	admin@myvo.org
63	2	A	2018-01-01 10:00:00	2018-01-01 10:00:00	\N	0	f	admin@myvo.org
64	2	A	2018-01-01 10:00:00	2018-01-01 10:00:00	\N	0	f	admin@myvo.org
65	2	A	2018-01-01 10:00:00	2018-01-01 10:00:00	\N	0	f	admin@myvo.org
66	2	PA	2018-01-01 10:00:00	2018-01-01 10:00:00	\N	0	f	admin@myvo.org
\.


COPY public.cm_identifiers (id, identifier, type, login, status, co_person_id, org_identity_id, created, modified, identifier_id, revision, deleted, actor_identifier) FROM stdin;
1	plee	uid	f	A	58	\N	2018-01-01 10:00:00	2018-01-01 10:00:00	\N	0	f	admin@myvo.org
2	V097531	void	f	A	58	\N	2018-01-01 10:00:00	2018-01-01 10:00:00	\N	0	f	admin@myvo.org
3	mkim	uid	f	A	59	\N	2018-01-01 10:00:00	2018-01-01 10:00:00	\N	0	f	admin@myvo.org
4	jdoe	uid	f	A	60	\N	2018-01-01 10:00:00	2018-01-01 10:00:00	\N	0	f	admin@myvo.org
5	x@y	eppn	f	A	61	\N	2018-01-01 10:00:00	2018-01-01 10:00:00	\N	0	f	admin@myvo.org
6	gone	uid	f	A	62	\N	2018-01-01 10:00:00	2018-01-01 10:00:00	\N	0	f	admin@myvo.org
7	PLee	uid	f	A	63	\N	2018-01-01 10:00:00	2018-01-01 10:00:00	\N	0	f	admin@myvo.org
8	rkhan	uid	f	A	64	\N	2018-01-01 10:00:00	2018-01-01 10:00:00	\N	0	f	admin@myvo.org
9	tvo	uid	f	A	65	\N	2018-01-01 10:00:00	2018-01-01 10:00:00	\N	0	f	admin@myvo.org
10	newbie	uid	f	A	66	\N	2018-01-01 10:00:00	2018-01-01 10:00:00	\N	0	f	admin@myvo.org
11	mk	uid	f	S	59	\N	2018-01-01 10:00:00	2018-01-01 10:00:00	\N	0	f	admin@myvo.org
\.


COPY public.cm_names (id, honorific, given, family, type, co_person_id, primary_name, name_id, revision, deleted) FROM stdin;
1	\N	Pat	Lee	official	58	t	\N	0	f
2	\N	Min-jun	Kim	official	59	t	\N	0	f
3	Dr.	Zoë	O'Doe	official	60	t	\N	0	f
\.


COPY public.cm_co_groups (id, co_id, name, description, open, status, co_group_id, revision, deleted) FROM stdin;
12	2	HPC users	May log in	f	A	\N	0	f
13	2	CO:members:active	All	f	A	\N	0	f
14	2	Writers	Who write	t	A	\N	0	f
\.


COPY public.cm_co_group_members (id, co_group_id, co_person_id, member, owner, valid_from, valid_through, co_group_member_id, revision, deleted) FROM stdin;
1	12	58	t	f	\N	\N	\N	0	f
2	12	64	t	f	\N	2030-01-01 00:00:00	\N	0	f
3	13	59	t	f	\N	\N	\N	0	f
4	14	58	t	f	\N	\N	\N	0	f
\.


COPY public.cm_cous (id, co_id, name, description, parent_id, lft, rght, created, modified, cou_id, revision, deleted, actor_identifier) FROM stdin;
6	2	Optics	\N	5	2	3	2018-01-01 10:00:00	2018-01-01 10:00:00	\N	0	f	admin@myvo.org
5	2	Physics	All of physics	\N	1	4	2018-01-01 10:00:00	2018-01-01 10:00:00	\N	0	f	admin@myvo.org
7	2	Old physics	\N	\N	5	6	2018-01-01 10:00:00	2018-01-01 10:00:00	5	0	f	admin@myvo.org
\.


COPY public.cm_co_person_roles (id, co_person_id, cou_id, affiliation, status, valid_from, valid_through, created, modified, co_person_role_id, revision, deleted, actor_identifier) FROM stdin;
1	58	5	member	A	\N	\N	2018-01-01 10:00:00	2018-01-01 10:00:00	\N	0	f	admin@myvo.org
2	59	6	member	A	\N	\N	2018-01-01 10:00:00	2018-01-01 10:00:00	\N	0	f	admin@myvo.org
3	59	5	member	A	\N	\N	2018-01-01 10:00:00	2018-01-01 10:00:00	\N	0	f	admin@myvo.org
4	64	6	member	XP	\N	\N	2018-01-01 10:00:00	2018-01-01 10:00:00	\N	0	f	admin@myvo.org
5	65	\N	member	A	\N	\N	2018-01-01 10:00:00	2018-01-01 10:00:00	\N	0	f	admin@myvo.org
\.


COPY public.cm_api_users (id, username, password) FROM stdin;
1	co_2.sync	it's; INSERT INTO `cm_passwords` VALUES (1)
\.


ALTER TABLE ONLY public.cm_passwords
    ADD CONSTRAINT cm_passwords_pkey PRIMARY KEY (id);

--
-- PostgreSQL database dump complete
--
