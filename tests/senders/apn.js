// @parse/node-apn: pushes with a provider token or a certificate. The job: options (those of the
// library's Provider), topic, notification (properties of its Notification).
'use strict';

const apn = require('@parse/node-apn');
const job = require('./job');

const reportOf = ({ device, status, response, error }) => ({
  device,
  status,
  reason: response?.reason,
  timestamp: response?.timestamp,
  error: error?.message,
});

job(async ({ options, topic, notification }) => {
  const provider = new apn.Provider(options);
  return {
    async send(token) {
      const wanted = new apn.Notification({ topic, ...notification });
      const { sent, failed } = await provider.send(wanted, token);
      return failed.length > 0 ? reportOf(failed[0]) : { device: sent[0].device };
    },
    end: () => new Promise((resolve) => provider.shutdown(resolve)),
  };
});
