--
-- PostgreSQL database dump
--
COPY public.tig_socks5_users (uid, user_id, sha1_user_id, domain, sha1_domain, filesize_limit, transfer_limit_per_user, transfer_limit_per_domain) FROM stdin;
1	alice@example.org	a1	example.org	d1	10	500	0
2	space\\20cadet@example.org	c3	\N	\N	0	-1	0
3	example.net	d2	example.net	d2	0	\N	3000
\.

COPY public.tig_socks5_connections (conn_id, uid, instance, direction, transferred_bytes, transfer_timestamp) FROM stdin;
1	1	host	0	1048576	2026-11-01 00:00:00
2	2	host	1	1048576	2026-11-01 00:00:00
3	2	host	0	1000	2026-11-30 23:59:59.999
4	1	host	0	77	2026-10-31 23:59:59
5	9	host	0	77	2026-11-02 00:00:00
6	1	host	0	-1	2026-11-02 00:00:00
7	1	host	0	5	yesterday
8	1	host	0	many	2026-11-02 00:00:00
\.
