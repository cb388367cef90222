-- Indexes by which codes that were sent by mail are removed when they ended, and by which seeds are
-- sealed anew in an order. Only adds.
create index otp_code_by_end on otp_code (expires_at) where expires_at is not null;

create index otp_by_seal_and_token on otp (seal, token) where seal is not null;
