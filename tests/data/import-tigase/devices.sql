-- MySQL dump 10.13  Distrib 8.0.36, for Linux (x86_64)
CREATE TABLE `tig_push_devices` (
  `service_jid` varchar(2049) NOT NULL,
  `service_jid_id` char(64) NOT NULL,
  `user_jid` varchar(2049) NOT NULL,
  `user_jid_id` char(64) NOT NULL,
  `node` varchar(2049) NOT NULL,
  `node_id` char(64) NOT NULL,
  `provider` varchar(2049) NOT NULL,
  `provider_id` char(64) NOT NULL,
  `device_id` varchar(2049) NOT NULL,
  `device_id_id` char(64) NOT NULL,
  UNIQUE KEY `unique_device` (`service_jid_id`,`user_jid_id`,`provider_id`,`device_id_id`),
  KEY `node` (`service_jid_id`,`node_id`)
) ENGINE=InnoDB;
INSERT INTO `tig_push_devices` VALUES ('push.example.org','s','dave@example.org','d','01#DAVE','n','fcm-xmpp-api','p','fcm:APA91-00','t'),('push.example.org','s','dave@example.org','d','01#DAVE','n','fcm-xmpp-api','p','fcm:APA91-01','t'),('push.example.org','s','dave@example.org','d','01#DAVE','n','fcm-xmpp-api','p','fcm:APA91-02','t'),('push.example.org','s','dave@example.org','d','01#DAVE','n','fcm-xmpp-api','p','fcm:APA91-03','t'),('push.example.org','s','dave@example.org','d','01#DAVE','n','fcm-xmpp-api','p','fcm:APA91-04','t'),('push.example.org','s','dave@example.org','d','01#DAVE','n','fcm-xmpp-api','p','fcm:APA91-05','t'),('push.example.org','s','dave@example.org','d','01#DAVE','n','fcm-xmpp-api','p','fcm:APA91-06','t'),('push.example.org','s','dave@example.org','d','01#DAVE','n','fcm-xmpp-api','p','fcm:APA91-07','t'),('push.example.org','s','dave@example.org','d','01#DAVE','n','fcm-xmpp-api','p','fcm:APA91-08','t'),('push.example.org','s','dave@example.org','d','01#DAVE','n','fcm-xmpp-api','p','fcm:APA91-09','t'),('push.example.org','s','dave@example.org','d','01#DAVE','n','fcm-xmpp-api','p','fcm:APA91-10','t'),('push.example.org','s','dave@example.org','d','01#DAVE','n','fcm-xmpp-api','p','fcm:APA91-11','t'),('push.example.org','s','dave@example.org','d','01#DAVE','n','fcm-xmpp-api','p','fcm:APA91-12','t'),('push.example.org','s','dave@example.org','d','01#DAVE','n','fcm-xmpp-api','p','fcm:APA91-13','t'),('push.example.org','s','dave@example.org','d','01#DAVE','n','fcm-xmpp-api','p','fcm:APA91-14','t'),('push.example.org','s','dave@example.org','d','01#DAVE','n','fcm-xmpp-api','p','fcm:APA91-15','t'),('push.example.org','s','dave@example.org','d','01#DAVE','n','fcm-xmpp-api','p','fcm:APA91-16','t');
