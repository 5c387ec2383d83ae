--
-- PostgreSQL database dump
--
COPY public.tig_socks5_users (uid, user_id, sha1_user_id, domain, sha1_domain, filesize_limit, transfer_limit_per_user, transfer_limit_per_domain) FROM stdin;
1	alice@example.org	a1	example.org	d1	10	500	0
2	space\\20cadet@example.org	c3	\N	\N	0	-1	0
3	example.net	d2	example.net	d2	0	\N	3000
\.

COPY public.tig_socks5_connections (conn_id, uid) FROM stdin;
1	1
\.
