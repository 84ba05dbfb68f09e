// A small server as a user has it: no telemetry in it, and nothing that logs but the console, which no agent listens to.
const http = require('node:http');

http.createServer((request, answer) => {
  console.log('somebody asks whether I am ready');
  answer.end('yes\n');
}).listen(8080);
