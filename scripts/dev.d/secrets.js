// Keys and secrets of one run.
'use strict';

const { createHash, generateKeyPairSync, randomBytes } = require('node:crypto');

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const DIGITS = 43;

/** An API key: `dk_` and 32 random bytes in base62; with the digest that the edge is told. */
function newKey() {
  let number = BigInt(`0x${randomBytes(32).toString('hex')}`);
  let digits = '';
  for (let i = 0; i < DIGITS; i += 1) {
    digits = ALPHABET[Number(number % 62n)] + digits;
    number /= 62n;
  }
  const text = `dk_${digits}`;
  return { text, digest: createHash('sha256').update(text).digest('hex') };
}

/** What edge and origin share. */
function newSecret() {
  return `dev:${randomBytes(32).toString('hex')}`;
}

/** What private pictures' addresses are signed with: a pair of its own, as CloudFront takes it. */
function newSigningKey() {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return `dev:${privateKey.export({ type: 'pkcs8', format: 'pem' })}`;
}

module.exports = { newKey, newSecret, newSigningKey };
