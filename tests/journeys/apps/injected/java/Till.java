import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.util.logging.Logger;

/** A small server as a user has it: no telemetry in it. It logs what it is asked for. */
public final class Till {
    public static void main(String[] words) throws Exception {
        Logger logger = Logger.getLogger("till");
        HttpServer server = HttpServer.create(new InetSocketAddress(8080), 0);
        server.createContext("/ready", exchange -> {
            logger.warning("somebody asks whether I am ready");
            byte[] body = "yes\n".getBytes();
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.start();
    }
}
