// Stands for the package that one of Rascal's tests takes an endless stream of random octets
// from; it is no longer to be had.
'use strict';

const crypto = require('crypto');
const { Readable } = require('stream');

exports.createRandomStream = () =>
  new Readable({
    read(octets) {
      this.push(crypto.randomBytes(octets));
    },
  });
