-- SPDX-License-Identifier: MIT
-- needs: ghc ghc
-- needs: libghc-network-dev file:/var/lib/ghc/package.conf.d/network-3*
-- build: ghc -v0 -threaded -outputdir {out} -o {out}/run {file}
-- run: {out}/run {host} {port}
-- Haskell: network's sockets, which the runtime's event manager waits for (epoll, one shot), thirty threads at once.
import Control.Concurrent
import Control.Exception
import Control.Monad
import qualified Data.ByteString.Char8 as B
import Data.List (group, sort)
import Network.Socket
import Network.Socket.ByteString
import System.Environment
import System.Timeout

talk :: AddrInfo -> IO String
talk where_ = bracket (openSocket where_) close $ \s -> do
  connect s (addrAddress where_)
  sendAll s (B.pack "hello")
  got <- recv s 100
  peer <- getPeerName s
  return (B.unpack got ++ " " ++ show peer)

-- Sockets' numbers depend on how fast others are closed.
unnumbered :: String -> String
unnumbered said = takeWhile (/= '<') said ++ dropWhile (/= '>') said

main :: IO ()
main = do
  [host, port] <- getArgs
  where_ : _ <- getAddrInfo (Just defaultHints { addrSocketType = Stream }) (Just host) (Just port)
  said <- forM [1 .. 30 :: Int] $ \_ -> do
    box <- newEmptyMVar
    _ <- forkIO ((try (timeout 1000000 (talk where_)) :: IO (Either IOException (Maybe String))) >>= putMVar box)
    return box
  results <- mapM takeMVar said
  forM_ (group (sort (map (unnumbered . show) results))) $ \same -> putStrLn (show (length same) ++ " " ++ head same)
