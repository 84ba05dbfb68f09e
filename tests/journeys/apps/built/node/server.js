// A small server as a user has it: no telemetry in it. PORT says where it listens; nothing in it listens for a signal.
const http = require('node:http');

const server = http.createServer((request, answer) => {
  answer.setHeader('content-type', 'text/plain');
  answer.end(`hello ${request.url.split('/').pop()}\n`);
});
server.listen(Number(process.env.PORT), '127.0.0.1');
