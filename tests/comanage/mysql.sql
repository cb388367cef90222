-- MySQL dump 10.13  Distrib 8.0.36, for Linux (x86_64)
--
-- Host: localhost    Database: registry
-- ------------------------------------------------------
/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!50503 SET NAMES utf8mb4 */;

DROP TABLE IF EXISTS `cm_co_services`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
CREATE TABLE `cm_co_services` (
  `id` int NOT NULL AUTO_INCREMENT,
  `co_id` int DEFAULT NULL,
  `cou_id` int DEFAULT NULL,
  `name` varchar(256) DEFAULT NULL,
  `description` varchar(256) DEFAULT NULL,
  `short_label` varchar(256) DEFAULT NULL,
  `co_group_id` int DEFAULT NULL,
  `cluster_id` int DEFAULT NULL,
  `service_url` varchar(256) DEFAULT NULL,
  `service_label` varchar(256) DEFAULT NULL,
  `contact_email` varchar(256) DEFAULT NULL,
  `logo_url` varchar(256) DEFAULT NULL,
  `entitlement_uri` varchar(256) DEFAULT NULL,
  `visibility` varchar(256) DEFAULT NULL,
  `identifier_type` varchar(256) DEFAULT NULL,
  `authenticator_id` int DEFAULT NULL,
  `status` varchar(256) DEFAULT NULL,
  `created` datetime DEFAULT NULL,
  `modified` datetime DEFAULT NULL,
  `co_service_id` int DEFAULT NULL,
  `revision` int DEFAULT NULL,
  `deleted` tinyint(1) DEFAULT NULL,
  `actor_identifier` varchar(256) DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `cm_co_services_i1` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

LOCK TABLES `cm_co_services` WRITE;
/*!40000 ALTER TABLE `cm_co_services` DISABLE KEYS */;
INSERT INTO `cm_co_services` VALUES (7,2,NULL,'Wiki','Where we write; it\'s shared','Wiki',NULL,NULL,'https://wiki.myvo.org/',NULL,'wiki@myvo.org','https://wiki.myvo.org/logo.png',NULL,'CP',NULL,NULL,'A','2018-03-01 10:00:00','2018-03-02 10:00:00',NULL,1,0,'admin@myvo.org'),(8,2,NULL,'Mail (IMAP)',NULL,'imap',NULL,NULL,'imaps://imap.myvo.org/',NULL,NULL,NULL,NULL,'P','uid',3,'A','2020-06-01 10:00:00','2020-06-01 10:00:00',NULL,0,0,'admin@myvo.org'),(9,2,NULL,'Cluster','High performance computing','hpc',12,NULL,'ssh://login.myvo.org',NULL,'hpc@myvo.org',NULL,'https://myvo.org/entitlement/hpc','CG',NULL,3,'A','2020-06-01 10:00:00','2020-06-01 10:00:00',NULL,0,0,'admin@myvo.org'),(10,2,NULL,'Wikki',NULL,'wikki',NULL,NULL,NULL,NULL,NULL,NULL,NULL,'CA',NULL,NULL,'A','2018-03-01 10:00:00','2018-03-01 10:00:00',7,0,0,'admin@myvo.org'),(11,2,6,'Attic',NULL,'attic',NULL,NULL,NULL,NULL,NULL,NULL,NULL,'CA',NULL,NULL,'S','2018-03-01 10:00:00','2018-03-01 10:00:00',NULL,0,0,'admin@myvo.org');
/*!40000 ALTER TABLE `cm_co_services` ENABLE KEYS */;
UNLOCK TABLES;

DROP TABLE IF EXISTS `cm_co_service_token_settings`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
CREATE TABLE `cm_co_service_token_settings` (
  `id` int NOT NULL AUTO_INCREMENT,
  `co_service_id` int DEFAULT NULL,
  `enabled` tinyint(1) DEFAULT NULL,
  `token_type` varchar(256) DEFAULT NULL,
  `created` datetime DEFAULT NULL,
  `modified` datetime DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `cm_co_service_token_settings_i1` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

LOCK TABLES `cm_co_service_token_settings` WRITE;
/*!40000 ALTER TABLE `cm_co_service_token_settings` DISABLE KEYS */;
INSERT INTO `cm_co_service_token_settings` VALUES (1,7,1,'15','2018-03-01 10:00:00','2018-03-01 10:00:00'),(2,11,0,'08','2018-03-01 10:00:00','2018-03-01 10:00:00');
/*!40000 ALTER TABLE `cm_co_service_token_settings` ENABLE KEYS */;
UNLOCK TABLES;

DROP TABLE IF EXISTS `cm_co_service_tokens`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
CREATE TABLE `cm_co_service_tokens` (
  `id` int NOT NULL AUTO_INCREMENT,
  `co_service_id` int DEFAULT NULL,
  `co_person_id` int DEFAULT NULL,
  `token` varchar(256) DEFAULT NULL,
  `token_type` varchar(256) DEFAULT NULL,
  `created` datetime DEFAULT NULL,
  `modified` datetime DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `cm_co_service_tokens_i1` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

LOCK TABLES `cm_co_service_tokens` WRITE;
/*!40000 ALTER TABLE `cm_co_service_tokens` DISABLE KEYS */;
INSERT INTO `cm_co_service_tokens` VALUES (1,7,58,'Vb3kT9xQm2LrZ7p','15','2018-04-01 10:00:00','2018-05-01 10:00:00'),(2,7,59,'q7Rt2LmX','08','2018-04-01 10:00:00','2018-04-01 10:00:00'),(3,7,58,'Zk4mW8vBn3TsY6d','15','2018-04-01 10:00:00','2018-04-01 10:00:00'),(4,7,60,'rasmuslerdorf','15','2018-04-01 10:00:00','2018-04-01 10:00:00'),(5,7,61,'Hs8dK2jWq5NbX9c','15','2018-04-01 10:00:00','2018-04-01 10:00:00');
/*!40000 ALTER TABLE `cm_co_service_tokens` ENABLE KEYS */;
UNLOCK TABLES;

DROP TABLE IF EXISTS `cm_password_authenticators`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
CREATE TABLE `cm_password_authenticators` (
  `id` int NOT NULL AUTO_INCREMENT,
  `authenticator_id` int DEFAULT NULL,
  `password_source` varchar(256) DEFAULT NULL,
  `min_length` int DEFAULT NULL,
  `max_length` int DEFAULT NULL,
  `format_crypt_php` tinyint(1) DEFAULT NULL,
  `format_plaintext` tinyint(1) DEFAULT NULL,
  `format_sha1_ldap` tinyint(1) DEFAULT NULL,
  `created` datetime DEFAULT NULL,
  `modified` datetime DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `cm_password_authenticators_i1` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

LOCK TABLES `cm_password_authenticators` WRITE;
/*!40000 ALTER TABLE `cm_password_authenticators` DISABLE KEYS */;
INSERT INTO `cm_password_authenticators` VALUES (4,3,'AG',NULL,16,1,0,1,'2020-06-01 10:00:00','2020-06-01 10:00:00');
/*!40000 ALTER TABLE `cm_password_authenticators` ENABLE KEYS */;
UNLOCK TABLES;

DROP TABLE IF EXISTS `cm_authenticator_statuses`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
CREATE TABLE `cm_authenticator_statuses` (
  `id` int NOT NULL AUTO_INCREMENT,
  `authenticator_id` int DEFAULT NULL,
  `co_person_id` int DEFAULT NULL,
  `locked` tinyint(1) DEFAULT NULL,
  `created` datetime DEFAULT NULL,
  `modified` datetime DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `cm_authenticator_statuses_i1` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

LOCK TABLES `cm_authenticator_statuses` WRITE;
/*!40000 ALTER TABLE `cm_authenticator_statuses` DISABLE KEYS */;
INSERT INTO `cm_authenticator_statuses` VALUES (1,3,65,1,'2021-01-01 10:00:00','2021-01-01 10:00:00');
/*!40000 ALTER TABLE `cm_authenticator_statuses` ENABLE KEYS */;
UNLOCK TABLES;

DROP TABLE IF EXISTS `cm_passwords`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
CREATE TABLE `cm_passwords` (
  `id` int NOT NULL AUTO_INCREMENT,
  `password_authenticator_id` int DEFAULT NULL,
  `co_person_id` int DEFAULT NULL,
  `password` varchar(256) DEFAULT NULL,
  `password_type` varchar(256) DEFAULT NULL,
  `created` datetime DEFAULT NULL,
  `modified` datetime DEFAULT NULL,
  `password_id` int DEFAULT NULL,
  `revision` int DEFAULT NULL,
  `deleted` tinyint(1) DEFAULT NULL,
  `actor_identifier` varchar(256) DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `cm_passwords_i1` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

LOCK TABLES `cm_passwords` WRITE;
/*!40000 ALTER TABLE `cm_passwords` DISABLE KEYS */;
INSERT INTO `cm_passwords` VALUES (21,4,58,'$2y$10$Kq3vXo9TzLr5WmYb1Hc7OuhBWLgujBobhJ4Dtyb/nj6sgaM/v5j9e','CR','2021-02-03 04:05:06','2021-02-03 04:05:06',NULL,0,0,'admin@myvo.org'),(22,4,58,'RH7cQP/wcSh+hYxkh+uS3+tweXs0YzFl','SH','2021-02-03 04:05:06','2021-02-03 04:05:06',NULL,0,0,'admin@myvo.org'),(23,4,59,'$2y$10$Lr5WmYb1Hc7Kq3vXo9TzOeyPz7amFGETXoZAJvOO4AgJ1w65nFp3e','CR','2021-02-03 04:05:06','2021-02-03 04:05:06',NULL,0,0,'admin@myvo.org'),(24,4,64,'d8sk-4vyp-q3mh-7wte','NO','2021-02-03 04:05:06','2021-02-03 04:05:06',NULL,0,0,'admin@myvo.org'),(25,4,65,'9Y+DoWNI2dTAeJav5kwWiB+jQcphMDdi','SH','2021-02-03 04:05:06','2021-02-03 04:05:06',NULL,0,0,'admin@myvo.org'),(26,4,60,'Y5DXf/Ei7+QfofND3j9aLIP9tTU3N2Qy','SH','2021-02-03 04:05:06','2021-02-03 04:05:06',NULL,0,0,'admin@myvo.org'),(27,4,58,'$argon2id$v=19$m=65536','EX','2021-02-03 04:05:06','2021-02-03 04:05:06',NULL,0,0,'admin@myvo.org'),(28,4,58,'old','NO','2020-02-03 04:05:06','2020-02-03 04:05:06',22,0,1,'admin@myvo.org');
/*!40000 ALTER TABLE `cm_passwords` ENABLE KEYS */;
UNLOCK TABLES;

DROP TABLE IF EXISTS `cm_co_people`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
CREATE TABLE `cm_co_people` (
  `id` int NOT NULL AUTO_INCREMENT,
  `co_id` int DEFAULT NULL,
  `status` varchar(256) DEFAULT NULL,
  `created` datetime DEFAULT NULL,
  `modified` datetime DEFAULT NULL,
  `co_person_id` int DEFAULT NULL,
  `revision` int DEFAULT NULL,
  `deleted` tinyint(1) DEFAULT NULL,
  `actor_identifier` varchar(256) DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `cm_co_people_i1` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

LOCK TABLES `cm_co_people` WRITE;
/*!40000 ALTER TABLE `cm_co_people` DISABLE KEYS */;
INSERT INTO `cm_co_people` VALUES (58,2,'A','2018-01-01 10:00:00','2018-01-01 10:00:00',NULL,0,0,'admin@myvo.org'),(59,2,'GP','2018-01-01 10:00:00','2018-01-01 10:00:00',NULL,0,0,'admin@myvo.org'),(60,2,'S','2018-01-01 10:00:00','2018-01-01 10:00:00',NULL,0,0,'admin@myvo.org'),(61,2,'A','2018-01-01 10:00:00','2018-01-01 10:00:00',NULL,0,0,'admin@myvo.org'),(62,2,'A','2018-01-01 10:00:00','2018-01-01 10:00:00',NULL,0,1,'admin@myvo.org'),(63,2,'A','2018-01-01 10:00:00','2018-01-01 10:00:00',NULL,0,0,'admin@myvo.org'),(64,2,'A','2018-01-01 10:00:00','2018-01-01 10:00:00',NULL,0,0,'admin@myvo.org'),(65,2,'A','2018-01-01 10:00:00','2018-01-01 10:00:00',NULL,0,0,'admin@myvo.org'),(66,2,'PA','2018-01-01 10:00:00','2018-01-01 10:00:00',NULL,0,0,'admin@myvo.org');
/*!40000 ALTER TABLE `cm_co_people` ENABLE KEYS */;
UNLOCK TABLES;

DROP TABLE IF EXISTS `cm_identifiers`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
CREATE TABLE `cm_identifiers` (
  `id` int NOT NULL AUTO_INCREMENT,
  `identifier` varchar(256) DEFAULT NULL,
  `type` varchar(256) DEFAULT NULL,
  `login` tinyint(1) DEFAULT NULL,
  `status` varchar(256) DEFAULT NULL,
  `co_person_id` int DEFAULT NULL,
  `org_identity_id` int DEFAULT NULL,
  `created` datetime DEFAULT NULL,
  `modified` datetime DEFAULT NULL,
  `identifier_id` int DEFAULT NULL,
  `revision` int DEFAULT NULL,
  `deleted` tinyint(1) DEFAULT NULL,
  `actor_identifier` varchar(256) DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `cm_identifiers_i1` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

LOCK TABLES `cm_identifiers` WRITE;
/*!40000 ALTER TABLE `cm_identifiers` DISABLE KEYS */;
INSERT INTO `cm_identifiers` VALUES (1,'plee','uid',0,'A',58,NULL,'2018-01-01 10:00:00','2018-01-01 10:00:00',NULL,0,0,'admin@myvo.org'),(2,'V097531','void',0,'A',58,NULL,'2018-01-01 10:00:00','2018-01-01 10:00:00',NULL,0,0,'admin@myvo.org'),(3,'mkim','uid',0,'A',59,NULL,'2018-01-01 10:00:00','2018-01-01 10:00:00',NULL,0,0,'admin@myvo.org'),(4,'jdoe','uid',0,'A',60,NULL,'2018-01-01 10:00:00','2018-01-01 10:00:00',NULL,0,0,'admin@myvo.org'),(5,'x@y','eppn',0,'A',61,NULL,'2018-01-01 10:00:00','2018-01-01 10:00:00',NULL,0,0,'admin@myvo.org'),(6,'gone','uid',0,'A',62,NULL,'2018-01-01 10:00:00','2018-01-01 10:00:00',NULL,0,0,'admin@myvo.org'),(7,'PLee','uid',0,'A',63,NULL,'2018-01-01 10:00:00','2018-01-01 10:00:00',NULL,0,0,'admin@myvo.org'),(8,'rkhan','uid',0,'A',64,NULL,'2018-01-01 10:00:00','2018-01-01 10:00:00',NULL,0,0,'admin@myvo.org'),(9,'tvo','uid',0,'A',65,NULL,'2018-01-01 10:00:00','2018-01-01 10:00:00',NULL,0,0,'admin@myvo.org'),(10,'newbie','uid',0,'A',66,NULL,'2018-01-01 10:00:00','2018-01-01 10:00:00',NULL,0,0,'admin@myvo.org'),(11,'mk','uid',0,'S',59,NULL,'2018-01-01 10:00:00','2018-01-01 10:00:00',NULL,0,0,'admin@myvo.org');
/*!40000 ALTER TABLE `cm_identifiers` ENABLE KEYS */;
UNLOCK TABLES;

DROP TABLE IF EXISTS `cm_names`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
CREATE TABLE `cm_names` (
  `id` int NOT NULL AUTO_INCREMENT,
  `honorific` varchar(256) DEFAULT NULL,
  `given` varchar(256) DEFAULT NULL,
  `family` varchar(256) DEFAULT NULL,
  `type` varchar(256) DEFAULT NULL,
  `co_person_id` int DEFAULT NULL,
  `primary_name` tinyint(1) DEFAULT NULL,
  `name_id` int DEFAULT NULL,
  `revision` int DEFAULT NULL,
  `deleted` tinyint(1) DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `cm_names_i1` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

LOCK TABLES `cm_names` WRITE;
/*!40000 ALTER TABLE `cm_names` DISABLE KEYS */;
INSERT INTO `cm_names` VALUES (1,NULL,'Pat','Lee','official',58,1,NULL,0,0),(2,NULL,'Min-jun','Kim','official',59,1,NULL,0,0),(3,'Dr.','Zoë','O\'Doe','official',60,1,NULL,0,0);
/*!40000 ALTER TABLE `cm_names` ENABLE KEYS */;
UNLOCK TABLES;

DROP TABLE IF EXISTS `cm_co_groups`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
CREATE TABLE `cm_co_groups` (
  `id` int NOT NULL AUTO_INCREMENT,
  `co_id` int DEFAULT NULL,
  `name` varchar(256) DEFAULT NULL,
  `description` varchar(256) DEFAULT NULL,
  `open` tinyint(1) DEFAULT NULL,
  `status` varchar(256) DEFAULT NULL,
  `co_group_id` int DEFAULT NULL,
  `revision` int DEFAULT NULL,
  `deleted` tinyint(1) DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `cm_co_groups_i1` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

LOCK TABLES `cm_co_groups` WRITE;
/*!40000 ALTER TABLE `cm_co_groups` DISABLE KEYS */;
INSERT INTO `cm_co_groups` VALUES (12,2,'HPC users','May log in',0,'A',NULL,0,0),(13,2,'CO:members:active','All',0,'A',NULL,0,0),(14,2,'Writers','Who write',1,'A',NULL,0,0);
/*!40000 ALTER TABLE `cm_co_groups` ENABLE KEYS */;
UNLOCK TABLES;

DROP TABLE IF EXISTS `cm_co_group_members`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
CREATE TABLE `cm_co_group_members` (
  `id` int NOT NULL AUTO_INCREMENT,
  `co_group_id` int DEFAULT NULL,
  `co_person_id` int DEFAULT NULL,
  `member` tinyint(1) DEFAULT NULL,
  `owner` tinyint(1) DEFAULT NULL,
  `valid_from` datetime DEFAULT NULL,
  `valid_through` datetime DEFAULT NULL,
  `co_group_member_id` int DEFAULT NULL,
  `revision` int DEFAULT NULL,
  `deleted` tinyint(1) DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `cm_co_group_members_i1` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

LOCK TABLES `cm_co_group_members` WRITE;
/*!40000 ALTER TABLE `cm_co_group_members` DISABLE KEYS */;
INSERT INTO `cm_co_group_members` VALUES (1,12,58,1,0,NULL,NULL,NULL,0,0),(2,12,64,1,0,NULL,'2030-01-01 00:00:00',NULL,0,0),(3,13,59,1,0,NULL,NULL,NULL,0,0),(4,14,58,1,0,NULL,NULL,NULL,0,0);
/*!40000 ALTER TABLE `cm_co_group_members` ENABLE KEYS */;
UNLOCK TABLES;

DROP TABLE IF EXISTS `cm_cous`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
CREATE TABLE `cm_cous` (
  `id` int NOT NULL AUTO_INCREMENT,
  `co_id` int DEFAULT NULL,
  `name` varchar(256) DEFAULT NULL,
  `description` varchar(256) DEFAULT NULL,
  `parent_id` int DEFAULT NULL,
  `lft` int DEFAULT NULL,
  `rght` int DEFAULT NULL,
  `created` datetime DEFAULT NULL,
  `modified` datetime DEFAULT NULL,
  `cou_id` int DEFAULT NULL,
  `revision` int DEFAULT NULL,
  `deleted` tinyint(1) DEFAULT NULL,
  `actor_identifier` varchar(256) DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `cm_cous_i1` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

LOCK TABLES `cm_cous` WRITE;
/*!40000 ALTER TABLE `cm_cous` DISABLE KEYS */;
INSERT INTO `cm_cous` VALUES (6,2,'Optics',NULL,5,2,3,'2018-01-01 10:00:00','2018-01-01 10:00:00',NULL,0,0,'admin@myvo.org'),(5,2,'Physics','All of physics',NULL,1,4,'2018-01-01 10:00:00','2018-01-01 10:00:00',NULL,0,0,'admin@myvo.org'),(7,2,'Old physics',NULL,NULL,5,6,'2018-01-01 10:00:00','2018-01-01 10:00:00',5,0,0,'admin@myvo.org');
/*!40000 ALTER TABLE `cm_cous` ENABLE KEYS */;
UNLOCK TABLES;

DROP TABLE IF EXISTS `cm_co_person_roles`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
CREATE TABLE `cm_co_person_roles` (
  `id` int NOT NULL AUTO_INCREMENT,
  `co_person_id` int DEFAULT NULL,
  `cou_id` int DEFAULT NULL,
  `affiliation` varchar(256) DEFAULT NULL,
  `status` varchar(256) DEFAULT NULL,
  `valid_from` datetime DEFAULT NULL,
  `valid_through` datetime DEFAULT NULL,
  `created` datetime DEFAULT NULL,
  `modified` datetime DEFAULT NULL,
  `co_person_role_id` int DEFAULT NULL,
  `revision` int DEFAULT NULL,
  `deleted` tinyint(1) DEFAULT NULL,
  `actor_identifier` varchar(256) DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `cm_co_person_roles_i1` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

LOCK TABLES `cm_co_person_roles` WRITE;
/*!40000 ALTER TABLE `cm_co_person_roles` DISABLE KEYS */;
INSERT INTO `cm_co_person_roles` VALUES (1,58,5,'member','A',NULL,NULL,'2018-01-01 10:00:00','2018-01-01 10:00:00',NULL,0,0,'admin@myvo.org'),(2,59,6,'member','A',NULL,NULL,'2018-01-01 10:00:00','2018-01-01 10:00:00',NULL,0,0,'admin@myvo.org'),(3,59,5,'member','A',NULL,NULL,'2018-01-01 10:00:00','2018-01-01 10:00:00',NULL,0,0,'admin@myvo.org'),(4,64,6,'member','XP',NULL,NULL,'2018-01-01 10:00:00','2018-01-01 10:00:00',NULL,0,0,'admin@myvo.org'),(5,65,NULL,'member','A',NULL,NULL,'2018-01-01 10:00:00','2018-01-01 10:00:00',NULL,0,0,'admin@myvo.org');
/*!40000 ALTER TABLE `cm_co_person_roles` ENABLE KEYS */;
UNLOCK TABLES;

DROP TABLE IF EXISTS `cm_api_users`;
/*!40101 SET @saved_cs_client     = @@character_set_client */;
CREATE TABLE `cm_api_users` (
  `id` int NOT NULL AUTO_INCREMENT,
  `username` varchar(256) DEFAULT NULL,
  `password` varchar(256) DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `cm_api_users_i1` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

LOCK TABLES `cm_api_users` WRITE;
/*!40000 ALTER TABLE `cm_api_users` DISABLE KEYS */;
INSERT INTO `cm_api_users` VALUES (1,'co_2.sync','it\'s; INSERT INTO `cm_passwords` VALUES (1)');
/*!40000 ALTER TABLE `cm_api_users` ENABLE KEYS */;
UNLOCK TABLES;

-- Dump completed on 2021-03-01 12:00:00
