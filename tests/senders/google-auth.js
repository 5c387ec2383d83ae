// google-auth-library: FCM's API called with a service account. The job: account (a file), project.
'use strict';

const { GoogleAuth } = require('google-auth-library');
const job = require('./job');

const SCOPE = 'https://www.googleapis.com/auth/firebase.messaging';

function reportOf(error) {
  const body = error.response?.data?.error;
  return {
    status: error.status,
    message: error.message,
    codes: body?.details?.map((detail) => detail.errorCode ?? detail.reason),
  };
}

job(async ({ account, project }) => {
  const client = await new GoogleAuth({ keyFile: account, scopes: [SCOPE] }).getClient();
  const url = `https://fcm.googleapis.com/v1/projects/${project}/messages:send`;
  return {
    async send(token) {
      const data = { message: { token, notification: { title: 'Juliet', body: 'Romeo?' } } };
      try {
        const answer = await client.request({ url, method: 'POST', data });
        return { status: answer.status, name: answer.data.name };
      } catch (error) {
        return reportOf(error);
      }
    },
  };
});
