-- MySQL dump 10.13  Distrib 8.0.36, for Linux (x86_64)
/*!40101 SET @saved_cs_client     = @@character_set_client */;
DROP TABLE IF EXISTS `tig_socks5_users`;
CREATE TABLE `tig_socks5_users` (
  `uid` bigint NOT NULL AUTO_INCREMENT,
  `user_id` varchar(2049) NOT NULL,
  `sha1_user_id` char(128) NOT NULL,
  `domain` varchar(1024) DEFAULT NULL,
  `sha1_domain` char(128) DEFAULT NULL,
  `filesize_limit` bigint DEFAULT '0',
  `transfer_limit_per_user` bigint DEFAULT '0',
  `transfer_limit_per_domain` bigint DEFAULT '0',
  PRIMARY KEY (`uid`)
) ENGINE=InnoDB;
LOCK TABLES `tig_socks5_users` WRITE;
/*!40000 ALTER TABLE `tig_socks5_users` DISABLE KEYS */;
INSERT INTO `tig_socks5_users` VALUES (1,'Alice@Example.ORG','a1','example.org','d1',10,500,0),(2,'example.org','d1','example.org','d1',0,0,3000),(3,'o\'brien@example.org','b2','example.org','d1',1,0,0);
INSERT INTO `tig_socks5_users` VALUES (4,'space\\20cadet@example.org','c3','example.org','d1',0,-1,0),(5,'socks5-global','e5',NULL,NULL,0,0,0),(6,'nobody@example.net','f6','example.net','d2',0,0,0);
/*!40000 ALTER TABLE `tig_socks5_users` ENABLE KEYS */;
UNLOCK TABLES;
INSERT INTO `tig_socks5_connections` VALUES (1,1,'host',0,12345,'2026-11-01 00:00:00');
