-- Nonces have a file of their own, so that no request waits for the lock of this one.
DROP TABLE nonces;
