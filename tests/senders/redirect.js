// Preloaded by node: a connection to a host that SENDERS_HOSTS names ({"host": "address:port"}) goes
// to that address; one to any other host is refused. TLS and HTTP still know the host by its name,
// so a library uses its own endpoints and checks their certificates.
'use strict';

const net = require('net');

const hosts = JSON.parse(process.env.SENDERS_HOSTS);
const connect = net.Socket.prototype.connect;

net.Socket.prototype.connect = function (options, ...rest) {
  const address = hosts[options.host];
  if (!address) {
    throw new Error(`no address for the host ${options.host}`);
  }
  const colon = address.lastIndexOf(':');
  const there = { ...options, host: address.slice(0, colon), port: Number(address.slice(colon + 1)) };
  return connect.call(this, there, ...rest);
};
