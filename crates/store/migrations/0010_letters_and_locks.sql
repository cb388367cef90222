-- Letters that hold a one-time link, and locks that hold for tokens issued later. Only adds.

-- The link's clear text, sealed to the row, where a letter to its person has to hold it. Gone once
-- the link is opened.
alter table link add column sealed {blob};

-- Where every token of a person is locked, whenever it was issued: labels of services, or '*' for
-- everywhere. Null: nowhere.
alter table person add column locks {text};

-- Whether every token is locked at a service, whenever it was issued.
alter table service add column locked {int} not null default 0;
