// firebase-admin: messages sent with a service account, one by one over HTTP/1.1 (send) or, where
// the job says "each", over HTTP/2 (sendEach). The job: account (a file), each.
'use strict';

const { cert, deleteApp, initializeApp } = require('firebase-admin/app');
const { getMessaging } = require('firebase-admin/messaging');
const job = require('./job');

const reportOf = ({ code, message }) => ({ code, message });

job(async ({ account, each }) => {
  const app = initializeApp({ credential: cert(account) });
  const messaging = getMessaging(app);
  const messageTo = (token) => ({
    token,
    notification: { title: 'Juliet', body: 'Romeo?' },
    data: { type: 'chat' },
    android: { priority: 'high', ttl: 3600 * 1000, collapseKey: 'chat' },
  });
  const send = async (token) => ({ name: await messaging.send(messageTo(token)) });
  const sendEach = async (token) => {
    const [response] = (await messaging.sendEach([messageTo(token)])).responses;
    return response.success ? { name: response.messageId } : reportOf(response.error);
  };
  return {
    send: (token) => (each ? sendEach : send)(token).catch(reportOf),
    end: () => deleteApp(app),
  };
});
