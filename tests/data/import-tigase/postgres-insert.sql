--
-- PostgreSQL database dump
--
SET standard_conforming_strings = on;
CREATE TABLE public.tig_socks5_users (
    uid bigint NOT NULL,
    user_id character varying(2049) NOT NULL
);
INSERT INTO public.tig_socks5_users VALUES (1, 'alice@example.org', 'a1', 'example.org', 'd1', 10, 500, 0);
INSERT INTO public.tig_socks5_users (user_id, sha1_user_id, filesize_limit, transfer_limit_per_user, transfer_limit_per_domain, uid, domain, sha1_domain) VALUES ('space\20cadet@example.org', 'c3', 0, -1, 0, 2, NULL, NULL);
INSERT INTO public.tig_socks5_users VALUES
	(3, E'back\\slash@example.org', 'x', 'example.org', 'd1', 2048, 0, 0), -- a comment
	(4, 'd''arc@example.org', 'y', 'example.org', 'd1', 0, 0, 1);
